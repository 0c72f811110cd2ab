#ifndef SERF_CMD_FILES_FILE_TEXT_H_
#define SERF_CMD_FILES_FILE_TEXT_H_

// Small text files: read whole, and replaced so that a reader or a crash finds the old text or the
// new one, never a part. Errors have the original's form: "open PATH: no such file or directory".

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf::cmd {

// Far above any configuration, so that a wrong path (a device, a core dump) does not fill the
// memory.
inline constexpr std::size_t kTextFileMax = 16 << 20;

absl::StatusOr<std::string> ReadTextFile(const std::string& path);

// Writes beside the file, syncs, and renames. A new file has mode 0600, an old one keeps its mode,
// and a symbolic link stays one. Where the folder is closed to us but the file is not, the file is
// overwritten.
absl::Status WriteTextFile(const std::string& path, absl::string_view text);

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

// The same error, with what could not be done in front: "Failed to read tags file: ...".
inline absl::Status Prefixed(absl::string_view what, const absl::Status& error) {
  return absl::Status(error.code(), absl::StrCat(what, ": ", absl::string_view(error.message())));
}

// "open PATH: no such file or directory", of errno.
inline absl::Status FileError(absl::string_view call, absl::string_view path) {
  const int error = errno;
  std::string text = std::generic_category().message(error);
  if (!text.empty()) text[0] = absl::ascii_tolower(static_cast<unsigned char>(text[0]));
  const std::string message = absl::StrCat(call, " ", path, ": ", text);
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::UnavailableError(message);
}

inline absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  const file_text_internal::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return FileError("open", path);
  std::string text;
  std::array<char, 8192> buffer;
  for (;;) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FileError("read", path);
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
    if (size < 0) return FileError("write", path);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  if (::fsync(fd) != 0 && errno != EINVAL) return FileError("sync", path);
  return absl::OkStatus();
}

inline absl::Status Overwrite(const std::string& path, absl::string_view text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!file.valid()) return FileError("open", path);
  return WriteAll(file.get(), text, path);
}

// The file that `path` leads to.
inline std::string Resolve(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real == nullptr ? path : std::string(real.get());
}

}  // namespace file_text_internal

inline absl::Status WriteTextFile(const std::string& path, absl::string_view text) {
  namespace internal = file_text_internal;
  const std::string target = internal::Resolve(path);
  struct stat old {};
  const bool exists = ::stat(target.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) return internal::Overwrite(path, text);
  std::string temporary = absl::StrCat(target, ".XXXXXX");
  const internal::Fd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) {
    const absl::Status error = FileError("open", path);
    return exists && absl::IsPermissionDenied(error) ? internal::Overwrite(path, text) : error;
  }
  absl::Status status = internal::WriteAll(file.get(), text, path);
  if (status.ok() && exists) {
    // The owner only where we may: the mode must not widen who can read either way.
    const bool same_owner = ::fchown(file.get(), old.st_uid, old.st_gid) == 0;
    const mode_t mode = old.st_mode & (same_owner ? 07777 : 0700);
    if (::fchmod(file.get(), mode) != 0) status = FileError("chmod", path);
  }
  if (status.ok() && ::rename(temporary.c_str(), target.c_str()) != 0) {
    status = FileError("rename", path);
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  // The rename is in the folder; a file system that cannot sync one keeps its own order.
  const std::size_t slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : target.substr(0, slash + 1);
  const internal::Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid()) ::fsync(directory.get());
  return absl::OkStatus();
}

}  // namespace serf::cmd

#endif  // SERF_CMD_FILES_FILE_TEXT_H_
