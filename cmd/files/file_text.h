#ifndef SERF_CMD_FILES_FILE_TEXT_H_
#define SERF_CMD_FILES_FILE_TEXT_H_

// Small text files: read as a whole, and replaced so that a reader or a crash finds the old text or
// the new one, never a part. Errors have Go Serf's form: "open PATH: no such file or directory".

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/duration_text.h"
#include "serf/base/system_error.h"
#include "serf/base/time.h"

namespace serf::cmd {

// Far larger than any configuration. A wrong path (a device, a core dump) cannot fill the memory.
inline constexpr std::size_t kTextFileMax = 16 << 20;

// Reads a file as a whole. It reads a FIFO, a pipe or a terminal to its end, and waits for that at
// most `wait_max`; then DeadlineExceeded. A disk that blocks has no limit.
absl::StatusOr<std::string> ReadTextFile(const std::string& path,
                                         Duration wait_max = Duration::max());

// Writes the text; it is on the disk when the function returns OK, and after an error the old text
// is there. The function follows symbolic links and gives a new file `mode`, less the umask. Like
// Go Serf, it does not touch a file that this process may not write to.
//
// The function writes the text beside the file, syncs it and renames it. It writes into the file,
// as Go Serf always does, where a rename is impossible or would change more than the text: the
// folder is closed to this process or read-only, the file is a mount point, the file has several
// names, or it has an owner or an access list that this process cannot give to another file. A
// crash in between may then leave some of each text. Blocks on the disk.
absl::Status WriteTextFile(const std::string& path, absl::string_view text, mode_t mode = 0600);

// Removes the file that a crash within WriteTextFile may have left beside `path`: a copy of the
// text.
void RemoveLeftover(const std::string& path);

namespace file_text_internal {

// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  const int fd_;
};

}  // namespace file_text_internal

// The same error after the action that failed: "Failed to read tags file: ...".
inline absl::Status Prefixed(absl::string_view what, const absl::Status& error) {
  return absl::Status(error.code(), absl::StrCat(what, ": ", absl::string_view(error.message())));
}

namespace file_text_internal {

// Waits until `fd` has something to read, or its end. False: neither before `deadline`. A file on a
// disk is always ready.
inline bool WaitReadable(int fd, std::chrono::steady_clock::time_point deadline) {
  constexpr auto kTurn = std::chrono::seconds(60);  // what an int of milliseconds can hold
  for (;;) {
    const Duration left = deadline - std::chrono::steady_clock::now();
    const auto wait = std::clamp<Duration>(left, Duration::zero(), kTurn);
    pollfd readable = {fd, POLLIN, 0};
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    if (::poll(&readable, 1, static_cast<int>(milliseconds)) > 0) return true;
    if (left <= Duration::zero()) return false;
  }
}

}  // namespace file_text_internal

inline absl::StatusOr<std::string> ReadTextFile(const std::string& path, Duration wait_max) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point now = Clock::now();
  const Clock::time_point deadline =
      wait_max < Clock::time_point::max() - now ? now + wait_max : Clock::time_point::max();
  // O_NONBLOCK: does not wait in open(), where no limit holds.
  const file_text_internal::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return SystemError(errno, "open", path);
  std::string text;
  std::array<char, 8192> buffer;
  for (;;) {
    if (!file_text_internal::WaitReadable(file.get(), deadline)) {
      return absl::DeadlineExceededError(
          absl::StrCat("read ", path, ": it has no end after ", FormatDuration(wait_max)));
    }
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return SystemError(errno, "read", path);
    if (size == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
    if (text.size() > kTextFileMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("read ", path, ": larger than ", kTextFileMax, " bytes"));
    }
  }
}

namespace file_text_internal {

inline absl::Status WriteAll(int fd, absl::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return SystemError(errno, "write", path);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  if (::fsync(fd) != 0 && errno != EINVAL) return SystemError(errno, "sync", path);
  return absl::OkStatus();
}

// The kernel follows as many links.
inline constexpr int kLinksMax = 40;

// The file that the links of `path` lead to, even if it does not exist yet.
inline std::string FollowLinks(std::string path) {
  std::array<char, 4096> buffer;  // PATH_MAX
  for (int links = 0; links < kLinksMax; ++links) {
    const ssize_t size = ::readlink(path.c_str(), buffer.data(), buffer.size());
    if (size <= 0) break;
    const absl::string_view link(buffer.data(), static_cast<std::size_t>(size));
    const std::size_t folder = link[0] == '/' ? 0 : path.rfind('/') + 1;
    path = absl::StrCat(absl::string_view(path).substr(0, folder), link);
  }
  return path;
}

// The name is always the same, so that the next write finds what a crash left.
inline std::string BesideOf(const std::string& target) { return absl::StrCat(target, ".serf-new"); }

// Gives the new file everything that the old one has besides its text. False if that is impossible.
inline bool MakeAlike(int file, int old) {
  struct stat info {};
  return ::fstat(old, &info) == 0 && info.st_nlink == 1 &&
         ::fgetxattr(old, "system.posix_acl_access", nullptr, 0) < 0 &&
         ::fchown(file, info.st_uid, info.st_gid) == 0 && ::fchmod(file, info.st_mode & 07777) == 0;
}

// False: the file at `target` cannot be replaced, and was not. `old` is that file, or no file.
inline bool Replace(const std::string& path, const std::string& target, const Fd& old,
                    absl::string_view text, mode_t mode, absl::Status& status) {
  const std::string beside = BesideOf(target);
  ::unlink(beside.c_str());
  const Fd file(
      ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, old.valid() ? 0600 : mode));
  if (!file.valid()) return false;
  bool done = !old.valid() || MakeAlike(file.get(), old.get());
  if (done) status = WriteAll(file.get(), text, path);
  if (done && status.ok()) done = ::rename(beside.c_str(), target.c_str()) == 0;
  if (!done || !status.ok()) {
    ::unlink(beside.c_str());
    return done;
  }
  // The folder holds the rename. A file system that cannot sync a folder keeps its own order.
  const std::size_t slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : target.substr(0, slash + 1);
  const Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid()) ::fsync(directory.get());
  return true;
}

// Writes from the front, then cuts the file to this length.
inline absl::Status WriteOver(int fd, absl::string_view text, const std::string& path) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return SystemError(errno, "seek", path);
  if (absl::Status status = WriteAll(fd, text, path); !status.ok()) return status;
  if (::ftruncate(fd, static_cast<off_t>(text.size())) != 0) {
    return SystemError(errno, "truncate", path);
  }
  return ::fsync(fd) == 0 || errno == EINVAL ? absl::OkStatus() : SystemError(errno, "sync", path);
}

}  // namespace file_text_internal

inline absl::Status WriteTextFile(const std::string& path, absl::string_view text, mode_t mode) {
  namespace internal = file_text_internal;
  // O_NONBLOCK: does not wait for the reader of a FIFO.
  constexpr int kFlags = O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  const internal::Fd old(::open(path.c_str(), kFlags));
  if (!old.valid() && errno != ENOENT) return SystemError(errno, "open", path);
  struct stat info {};
  if (old.valid() && ::fstat(old.get(), &info) != 0) return SystemError(errno, "stat", path);
  if (old.valid() && !S_ISREG(info.st_mode)) return internal::WriteAll(old.get(), text, path);
  absl::Status status;
  if (internal::Replace(path, internal::FollowLinks(path), old, text, mode, status)) return status;
  if (!old.valid()) {
    const internal::Fd fresh(::open(path.c_str(), kFlags | O_CREAT | O_EXCL, mode));
    if (!fresh.valid()) return SystemError(errno, "open", path);
    status = internal::WriteAll(fresh.get(), text, path);
    if (!status.ok()) ::unlink(path.c_str());
    return status;
  }
  const absl::StatusOr<std::string> before = ReadTextFile(path);
  status = internal::WriteOver(old.get(), text, path);
  if (!status.ok() && before.ok()) {
    static_cast<void>(internal::WriteOver(old.get(), *before, path));
  }
  return status;
}

inline void RemoveLeftover(const std::string& path) {
  namespace internal = file_text_internal;
  ::unlink(internal::BesideOf(internal::FollowLinks(path)).c_str());
}

}  // namespace serf::cmd

#endif  // SERF_CMD_FILES_FILE_TEXT_H_
