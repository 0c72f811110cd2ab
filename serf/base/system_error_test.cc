#include "serf/base/system_error.h"

#include <cerrno>
#include <string>

#include "gtest/gtest.h"

namespace serf {
namespace {

TEST(SystemErrorTest, TextsBeginWithASmallLetter) {
  EXPECT_EQ(SystemErrorText(ENOENT), "no such file or directory");
  EXPECT_EQ(SystemErrorText(EADDRINUSE), "address already in use");
  struct Empty {
    std::string message() const { return ""; }
  };
  EXPECT_EQ(ErrorText(Empty()), "");
}

TEST(SystemErrorTest, CodesTellWhatThereIsToDo) {
  const struct {
    int error;
    absl::StatusCode code;
    const char* text;
  } kTable[] = {
      {ENOENT, absl::StatusCode::kNotFound, "open /x: no such file or directory"},
      {EACCES, absl::StatusCode::kPermissionDenied, "open /x: permission denied"},
      {EPERM, absl::StatusCode::kPermissionDenied, "open /x: operation not permitted"},
      {EROFS, absl::StatusCode::kPermissionDenied, "open /x: read-only file system"},
      {ENOSPC, absl::StatusCode::kResourceExhausted, "open /x: no space left on device"},
      {EDQUOT, absl::StatusCode::kResourceExhausted, "open /x: disk quota exceeded"},
      {EFBIG, absl::StatusCode::kResourceExhausted, "open /x: file too large"},
      {EIO, absl::StatusCode::kUnavailable, "open /x: input/output error"},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(SystemError(row.error, "open", "/x"), absl::Status(row.code, row.text));
  }
}

}  // namespace
}  // namespace serf
