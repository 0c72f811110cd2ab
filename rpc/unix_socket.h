// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_UNIX_SOCKET_H_
#define SERF_RPC_UNIX_SOCKET_H_

// UnixSocketFile: the file of a listening Unix domain socket, from the bind to the end. By default
// only its owner may connect, that is, the user that the agent runs as.
//
//   absl::StatusOr<std::unique_ptr<UnixSocketFile>> file = UnixSocketFile::Bind(fd, path);
//
// Server::Listen("unix:/run/serf.sock") uses it; an application has no need to. One thread. Two
// agents that start at the same instant with the same path may take it from each other; later ones
// are refused.

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/system_error.h"

namespace serf::rpc {

// The most bytes of a path. The system's address ends with a zero byte.
inline constexpr std::size_t kUnixPathMax = sizeof(sockaddr_un::sun_path) - 1;

// OK if the path can be the address of a socket; else InvalidArgument.
inline absl::Status CheckUnixPath(absl::string_view path) {
  if (path.size() <= kUnixPathMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": the path has ", path.size(), " bytes, that of a socket at most ", kUnixPathMax));
}

class UnixSocketFile {
 public:
  // Binds a socket that does not listen yet, and gives its file `mode`. Replaces the file of an
  // agent that was killed, that is, a socket on which nothing listens. Any other file stays.
  // Unavailable, with a message such as "bind: address already in use"; or that of CheckUnixPath().
  static absl::StatusOr<std::unique_ptr<UnixSocketFile>> Bind(int socket, const std::string& path,
                                                              mode_t mode = S_IRUSR | S_IWUSR);

  // Removes the file, if it is still this one.
  ~UnixSocketFile() {
    struct stat status = {};
    if (::lstat(path_.c_str(), &status) != 0) return;
    if (status.st_dev == device_ && status.st_ino == inode_) ::unlink(path_.c_str());
  }
  UnixSocketFile(const UnixSocketFile&) = delete;
  UnixSocketFile& operator=(const UnixSocketFile&) = delete;

 private:
  explicit UnixSocketFile(std::string path) : path_(std::move(path)) {}

  static sockaddr_un AddressOf(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
  }
  // Frees the path if it is that of a socket on which nothing listens. False otherwise.
  static bool RemoveStale(const std::string& path);
  // The error of the system call that has just failed.
  static absl::Status Error(absl::string_view call);

  const std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

inline absl::Status UnixSocketFile::Error(absl::string_view call) {
  return absl::UnavailableError(absl::StrCat(call, ": ", SystemErrorText(errno)));
}

inline bool UnixSocketFile::RemoveStale(const std::string& path) {
  struct stat status = {};
  // A connection to any other file would be refused as well.
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const sockaddr_un address = AddressOf(path);
  const int connected =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const bool refused = connected != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused && ::unlink(path.c_str()) == 0;
}

inline absl::StatusOr<std::unique_ptr<UnixSocketFile>> UnixSocketFile::Bind(int socket,
                                                                            const std::string& path,
                                                                            mode_t mode) {
  if (absl::Status status = CheckUnixPath(path); !status.ok()) return status;
  const sockaddr_un address = AddressOf(path);
  const auto bind = [&] {
    return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  };
  if (!bind()) {
    const bool in_use = errno == EADDRINUSE;
    absl::Status failure = Error("bind");
    if (!in_use || !RemoveStale(path) || !bind()) return failure;
  }
  // No client can connect before this, because the socket does not listen yet.
  struct stat status = {};
  if (::chmod(path.c_str(), mode) != 0 || ::lstat(path.c_str(), &status) != 0) {
    absl::Status failure = Error("chmod");
    ::unlink(path.c_str());
    return failure;
  }
  std::unique_ptr<UnixSocketFile> file(new UnixSocketFile(path));
  file->device_ = status.st_dev;
  file->inode_ = status.st_ino;
  return file;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_UNIX_SOCKET_H_
