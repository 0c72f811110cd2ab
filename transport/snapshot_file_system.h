// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_SNAPSHOT_FILE_SYSTEM_H_
#define SERF_TRANSPORT_SNAPSHOT_FILE_SYSTEM_H_

// SnapshotFileSystem: the system calls that a SnapshotFile uses. A test replaces it, to let each
// call fail, or to stop the machine between any two calls. Errors have Go Serf's texts: "open PATH:
// no such file or directory".

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/system_error.h"

namespace serf::transport {

class SnapshotFileSystem {
 public:
  using File = int;
  using Permissions = std::uint32_t;

  // The identity of a file, independent of its name.
  struct Info {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    Permissions permissions = 0;  // 0 to 07777
    bool regular = false;
    bool null = false;  // true for /dev/null
  };

  virtual ~SnapshotFileSystem() = default;

  // Opens a file to read it from the start and to append to it. Makes it if it does not exist.
  virtual absl::StatusOr<File> OpenOrCreate(const std::string& path, Permissions permissions) = 0;
  // Makes an empty file with exactly these permissions, in place of any file of that name.
  virtual absl::StatusOr<File> Create(const std::string& path, Permissions permissions) = 0;
  // Reads the next bytes. Zero means the end of the file.
  virtual absl::StatusOr<std::size_t> Read(File file, MutableByteView out) = 0;
  // Appends at least one byte, and returns how many it appended.
  virtual absl::StatusOr<std::size_t> Write(File file, absl::string_view bytes) = 0;
  // Writes at `offset`, over the bytes there; otherwise like Write().
  virtual absl::StatusOr<std::size_t> WriteAt(File file, std::uint64_t offset,
                                              absl::string_view bytes) = 0;
  virtual absl::Status Truncate(File file, std::uint64_t size) = 0;
  // Returns when all written bytes are on the disk.
  virtual absl::Status Sync(File file) = 0;
  virtual void Close(File file) = 0;
  virtual absl::StatusOr<Info> InfoOf(File file) = 0;
  // NotFound, if there is no such file.
  virtual absl::StatusOr<Info> InfoOf(const std::string& path) = 0;
  // The file that a symbolic link leads to; `path` itself for any other file or a dangling link.
  virtual std::string Resolve(const std::string& path) = 0;
  // Replaces `to` atomically.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
  // Returns when the names in the folder of `path` are on the disk.
  virtual absl::Status SyncFolderOf(const std::string& path) = 0;
};

class PosixSnapshotFileSystem final : public SnapshotFileSystem {
 public:
  absl::StatusOr<File> OpenOrCreate(const std::string& path, Permissions permissions) override {
    // O_NONBLOCK: does not wait for the other end of a FIFO.
    return Open(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK, permissions);
  }

  absl::StatusOr<File> Create(const std::string& path, Permissions permissions) override {
    // Never writes to another user's file, or to a link to one.
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Error("remove", path);
    absl::StatusOr<File> file = Open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL, permissions);
    if (file.ok() && ::fchmod(*file, permissions) != 0) {
      const absl::Status status = Error("chmod", path);
      Close(*file);
      return status;
    }
    return file;
  }

  absl::StatusOr<std::size_t> Read(File file, MutableByteView out) override {
    ssize_t got;
    do {
      got = ::read(file, out.data(), out.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return Error("read", "snapshot");
    return static_cast<std::size_t>(got);
  }

  absl::StatusOr<std::size_t> Write(File file, absl::string_view bytes) override {
    ssize_t put;
    do {
      put = ::write(file, bytes.data(), bytes.size());
    } while (put < 0 && errno == EINTR);
    if (put < 0) return Error("write", "snapshot");
    if (put == 0) return absl::UnavailableError("write snapshot: nothing was written");
    return static_cast<std::size_t>(put);
  }

  absl::StatusOr<std::size_t> WriteAt(File file, std::uint64_t offset,
                                      absl::string_view bytes) override {
    // While O_APPEND is set, Linux appends at any offset.
    const int flags = ::fcntl(file, F_GETFL);
    if (flags < 0 || ::fcntl(file, F_SETFL, flags & ~O_APPEND) != 0) {
      return Error("write", "snapshot");
    }
    ssize_t put;
    do {
      put = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    } while (put < 0 && errno == EINTR);
    const absl::Status failed = put <= 0 ? Error("write", "snapshot") : absl::OkStatus();
    if (::fcntl(file, F_SETFL, flags) != 0) return Error("write", "snapshot");
    if (!failed.ok()) return failed;
    return static_cast<std::size_t>(put);
  }

  absl::Status Truncate(File file, std::uint64_t size) override {
    return Check(::ftruncate(file, static_cast<off_t>(size)), "truncate", "snapshot");
  }

  absl::Status Sync(File file) override {
    const int result = ::fdatasync(file);
    // This file system cannot sync, so nothing more can be done.
    if (result != 0 && (errno == EINVAL || errno == ENOTSUP)) return absl::OkStatus();
    return Check(result, "sync", "snapshot");
  }

  void Close(File file) override { ::close(file); }

  absl::StatusOr<Info> InfoOf(File file) override {
    struct stat stat;
    if (::fstat(file, &stat) != 0) return Error("stat", "snapshot");
    return ToInfo(stat);
  }

  absl::StatusOr<Info> InfoOf(const std::string& path) override {
    struct stat stat;
    if (::stat(path.c_str(), &stat) != 0) return Error("stat", path);
    return ToInfo(stat);
  }

  std::string Resolve(const std::string& path) override {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    return real == nullptr ? path : std::string(real.get());
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    return Check(::rename(from.c_str(), to.c_str()), "rename", absl::StrCat(from, " ", to));
  }

  absl::Status Remove(const std::string& path) override {
    return Check(::unlink(path.c_str()), "remove", path);
  }

  absl::Status SyncFolderOf(const std::string& path) override {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "."
                               : slash == 0               ? "/"
                                                          : path.substr(0, slash);
    absl::StatusOr<File> file = Open(folder, O_RDONLY | O_DIRECTORY, 0);
    // A folder that this process may write to but not read cannot be synced.
    if (absl::IsPermissionDenied(file.status())) return absl::OkStatus();
    if (!file.ok()) return file.status();
    const int result = ::fsync(*file);
    const absl::Status status =
        result != 0 && errno != EINVAL ? Error("sync", folder) : absl::OkStatus();
    Close(*file);
    return status;
  }

 private:
  static absl::Status Error(absl::string_view call, absl::string_view path) {
    return SystemError(errno, call, path);
  }

  static absl::Status Check(int result, absl::string_view call, absl::string_view path) {
    return result == 0 ? absl::OkStatus() : Error(call, path);
  }

  static absl::StatusOr<File> Open(const std::string& path, int flags, Permissions permissions) {
    int file;
    do {
      file = ::open(path.c_str(), flags | O_CLOEXEC, permissions);
    } while (file < 0 && errno == EINTR);
    if (file < 0) return Error("open", path);
    return file;
  }

  static Info ToInfo(const struct stat& stat) {
    return {.device = static_cast<std::uint64_t>(stat.st_dev),
            .inode = static_cast<std::uint64_t>(stat.st_ino),
            .size = static_cast<std::uint64_t>(stat.st_size),
            .permissions = static_cast<Permissions>(stat.st_mode) & 07777u,
            .regular = S_ISREG(stat.st_mode),
            .null = S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(1, 3)};
  }
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_SNAPSHOT_FILE_SYSTEM_H_
