// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_SYSTEM_ERROR_H_
#define SERF_BASE_SYSTEM_ERROR_H_

// Errors of the system in the words of Go Serf, which operators know and search for:
// "open PATH: no such file or directory". Source: docs/protocol/agent.md 1.5, 2.5.
//
//   if (::unlink(path.c_str()) != 0) return SystemError(errno, "remove", path);

#include <cerrno>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf {

// Returns the text of a std::error_code, or of Boost's, with a small first letter: "connection
// refused".
template <typename Code>
std::string ErrorText(const Code& code) {
  std::string text = code.message();
  if (!text.empty()) text[0] = absl::ascii_tolower(static_cast<unsigned char>(text[0]));
  return text;
}

// Returns the same text for an errno.
inline std::string SystemErrorText(int error) {
  return ErrorText(std::error_code(error, std::generic_category()));
}

// Returns an error with the text "CALL OBJECT: TEXT" for an errno. `call` names the system call,
// and `object` names what it was called for, for example a path. The code is NotFound,
// PermissionDenied (also for a read-only file system), ResourceExhausted (no room left), or else
// Unavailable.
inline absl::Status SystemError(int error, absl::string_view call, absl::string_view object) {
  const std::string text = absl::StrCat(call, " ", object, ": ", SystemErrorText(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace serf

#endif  // SERF_BASE_SYSTEM_ERROR_H_
