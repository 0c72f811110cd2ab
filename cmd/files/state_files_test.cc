// Tests of the files in which an agent keeps tags and keys.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/files/keyring_file.h"
#include "serf/cmd/files/tags_file.h"
#include "serf/testing/temporary_folder.h"

namespace serf::cmd {
namespace {

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class StateFilesTest : public ::testing::Test {
 protected:
  void Write(const std::string& text) const { std::ofstream(path_) << text; }
  std::string Text() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  mode_t Mode() const {
    struct stat info {};
    EXPECT_EQ(::stat(path_.c_str(), &info), 0);
    return info.st_mode & 07777;
  }
  std::size_t Files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  const testkit::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  std::string path_ = folder_ + "/file";
};

// A configuration may be such a file: /dev/stdin, <(program), a FIFO that a secret store writes to.
TEST_F(StateFilesTest, WhatIsNoOrdinaryFileIsReadToItsEnd) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  // The writer waits for the reader, as the reader does for the writer.
  std::thread writer([this] {
    std::ofstream out(path_);
    for (int i = 0; i < 100; ++i) out << std::string(1000, 'x') << std::flush;
  });
  EXPECT_EQ(ReadTextFile(path_)->size(), 100'000u);
  writer.join();
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ASSERT_EQ(::write(pipe[1], "{}", 2), 2);
  ::close(pipe[1]);
  EXPECT_EQ(*ReadTextFile("/proc/self/fd/" + std::to_string(pipe[0])), "{}");
  EXPECT_EQ(*ReadTextFile("/proc/self/fd/" + std::to_string(pipe[0])), "");
  ::close(pipe[0]);
}

TEST_F(StateFilesTest, ALimitOfTimeForWhatIsNoOrdinaryFile) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const std::string error = "read " + path_ + ": it has no end after 20ms";
  const Duration limit = std::chrono::milliseconds(20);
  EXPECT_EQ(Message(ReadTextFile(path_, limit).status()), error);
  // A writer that does not end.
  const int writer = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::write(writer, "{}", 2), 2);
  EXPECT_EQ(Message(ReadTextFile(path_, limit).status()), error);
  ::close(writer);
  // The limit applies to the wait, not to the data that is there.
  std::filesystem::remove(path_);
  Write("{}");
  EXPECT_EQ(*ReadTextFile(path_, Duration::zero()), "{}");
}

TEST_F(StateFilesTest, NewFilesAreForTheOwnerOnly) {
  ASSERT_TRUE(WriteTagsFile(path_, {{"b", "2"}, {"a", "<1>"}}).ok());
  EXPECT_EQ(Text(), "{\n  \"a\": \"\\u003c1\\u003e\",\n  \"b\": \"2\"\n}");
  EXPECT_EQ(Mode(), 0600u);
  EXPECT_EQ(*ReadTagsFile(path_), (Tags{{"a", "<1>"}, {"b", "2"}}));
}

TEST_F(StateFilesTest, OldFilesKeepTheirModeAndLinksStay) {
  Write("{}");
  ::chmod(path_.c_str(), 0640);
  const std::string link = folder_ + "/link";
  ASSERT_EQ(::symlink("file", link.c_str()), 0);
  ASSERT_TRUE(WriteTagsFile(link, {{"a", "1"}}).ok());
  EXPECT_EQ(Mode(), 0640u);
  EXPECT_EQ(Text(), "{\n  \"a\": \"1\"\n}");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(Files(), 2u);  // the write left no file beside it
}

// The other names of a file show the new text, too. Otherwise a reader of another name (a backup, a
// container that shares it) would see the old text without end.
TEST_F(StateFilesTest, OtherNamesOfTheFileStay) {
  Write("{}");
  const std::string other = folder_ + "/other";
  ASSERT_EQ(::link(path_.c_str(), other.c_str()), 0);
  ASSERT_TRUE(WriteTagsFile(path_, {{"a", "a longer text than before"}}).ok());
  EXPECT_EQ(*ReadTagsFile(other), (Tags{{"a", "a longer text than before"}}));
  ASSERT_TRUE(WriteTagsFile(other, {}).ok());
  EXPECT_EQ(Text(), "{}");
  EXPECT_EQ(Files(), 2u);
}

TEST_F(StateFilesTest, WhatALinkLeadsToIsMade) {
  const std::string first = folder_ + "/first";
  ASSERT_EQ(::mkdir((folder_ + "/sub").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("sub/second", first.c_str()), 0);
  ASSERT_EQ(::symlink("../file", (folder_ + "/sub/second").c_str()), 0);
  ASSERT_TRUE(WriteTagsFile(first, {}).ok());
  EXPECT_EQ(Text(), "{}");
  EXPECT_EQ(Mode(), 0600u);
  EXPECT_TRUE(std::filesystem::is_symlink(first));
  // A link to itself is an error and not followed without end.
  const std::string loop = folder_ + "/loop";
  ASSERT_EQ(::symlink("loop", loop.c_str()), 0);
  EXPECT_EQ(Message(WriteTagsFile(loop, {})),
            "Failed to write tags file: open " + loop + ": too many levels of symbolic links");
}

// An agent must not change a file that its owner made read-only, even if the folder permits it.
// Only root may write to such a file, and the file stays read-only.
TEST_F(StateFilesTest, AReadOnlyFileIsLeftAlone) {
  Write("{}");
  for (const mode_t mode : {0400u, 0444u}) {
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
    const absl::Status status = WriteTagsFile(path_, {{"a", "1"}});
    if (::geteuid() == 0) {
      EXPECT_TRUE(status.ok()) << status;
    } else {
      EXPECT_EQ(Message(status),
                "Failed to write tags file: open " + path_ + ": permission denied");
      EXPECT_EQ(Text(), "{}");
    }
    EXPECT_EQ(Mode(), mode);
    EXPECT_EQ(Files(), 1u);
  }
}

// A crash leaves a copy of the keyring, perhaps with a key that is about to be removed.
TEST_F(StateFilesTest, NothingIsLeftBesideTheFile) {
  const std::string leftover = path_ + ".serf-new";
  const std::string link = folder_ + "/link";
  ASSERT_EQ(::symlink("file", link.c_str()), 0);
  std::ofstream(leftover) << "of a crash";
  RemoveLeftover(link);
  EXPECT_FALSE(std::filesystem::exists(leftover));
  std::ofstream(leftover) << "of another";
  ASSERT_TRUE(WriteTagsFile(path_, {}).ok());
  EXPECT_FALSE(std::filesystem::exists(leftover));
  // A link with the leftover's name leads to another user's file, which stays as it is.
  std::ofstream(folder_ + "/victim") << "text";
  ASSERT_EQ(::symlink("victim", leftover.c_str()), 0);
  ASSERT_TRUE(WriteTagsFile(path_, {{"a", "1"}}).ok());
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/victim"), 4u);
}

TEST_F(StateFilesTest, ReadersOfTheOldFileSeeNoChange) {
  Write("{\"a\": \"old\"}");
  std::ifstream reader(path_);
  ASSERT_TRUE(WriteTagsFile(path_, {{"a", "new"}}).ok());
  std::string text;
  std::getline(reader, text);
  EXPECT_EQ(text, "{\"a\": \"old\"}");
}

TEST_F(StateFilesTest, FailuresLeaveTheOldFile) {
  const std::string path = folder_ + "/no/file";
  EXPECT_EQ(Message(WriteTagsFile(path, {})),
            "Failed to write tags file: open " + path + ": no such file or directory");
  EXPECT_EQ(Message(WriteTagsFile(folder_, {})),
            "Failed to write tags file: open " + folder_ + ": is a directory");
  EXPECT_EQ(Files(), 0u);
}

TEST_F(StateFilesTest, TagsFile) {
  EXPECT_EQ(EncodeTagsFile({}), "{}");
  EXPECT_EQ(*DecodeTagsFile("null"), Tags());
  EXPECT_EQ(*DecodeTagsFile(R"({"a": null, "b": "\u00e9"})"), (Tags{{"a", ""}, {"b", "\u00e9"}}));
  EXPECT_TRUE(absl::IsNotFound(ReadTagsFile(path_).status()));
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"", "unexpected end of JSON input"},
      {"{", "unexpected end of JSON input"},
      {"{} x", "invalid character 'x' after top-level value"},
      {"[1]", "json: cannot unmarshal array into Go value of type map[string]string"},
      {"{\"a\": 1}", "json: cannot unmarshal number into Go value of type string"},
      {"{\"a\": {}}", "json: cannot unmarshal object into Go value of type string"},
      {"{\"a\": true}", "json: cannot unmarshal bool into Go value of type string"},
  };
  for (const auto& c : kCases) {
    Write(c.text);
    EXPECT_EQ(Message(ReadTagsFile(path_).status()),
              std::string("Failed to decode tags file: ") + c.error);
  }
}

constexpr char kFirst[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr char kSecond[] = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

TEST_F(StateFilesTest, KeyringFile) {
  const std::string text = std::string("[\n  \"") + kFirst + "\",\n  \"" + kSecond + "\"\n]";
  Write(text);
  auto file = ReadKeyringFile(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->keys, 2u);
  EXPECT_EQ(file->keyring.primary()[1], 1);
  EXPECT_EQ(EncodeKeyringFile(file->keyring.keys()), text);
  const wire::Keyring::Key second = file->keyring.keys()[1];
  ASSERT_TRUE(file->keyring.Use(second).ok());
  ASSERT_TRUE(WriteKeyringFile(path_, file->keyring.keys()).ok());
  EXPECT_EQ(Text(), std::string("[\n  \"") + kSecond + "\",\n  \"" + kFirst + "\"\n]");
}

TEST_F(StateFilesTest, KeyringFileErrors) {
  EXPECT_EQ(Message(ReadKeyringFile(path_).status()),
            "stat " + path_ + ": no such file or directory");
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"[]", "Keyring file contains no keys"},
      {"null", "Keyring file contains no keys"},
      {"{}",
       "Failed to decode keyring file: json: cannot unmarshal object into Go value of type "
       "[]string"},
      {"[1]",
       "Failed to decode keyring file: json: cannot unmarshal number into Go value of type string"},
      {"[\"!!!\"]", "Failed to decode key from keyring: illegal base64 data at input byte 0"},
      {"[\"c2hvcnQ=\"]", "Failed to restore keyring: key size must be 16, 24 or 32 bytes"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Message(DecodeKeyringFile(c.text).status()), c.error) << c.text;
  }
}

TEST_F(StateFilesTest, ANewFileHasTheModeAnOldOneKeepsItsOwn) {
  const mode_t umask = ::umask(022);
  EXPECT_TRUE(WriteTextFile(path_, "one", 0666).ok());
  EXPECT_EQ(Mode(), 0644U);
  EXPECT_EQ(::chmod(path_.c_str(), 0640), 0);
  EXPECT_TRUE(WriteTextFile(path_, "two", 0666).ok());
  EXPECT_EQ(Mode(), 0640U);
  EXPECT_EQ(Text(), "two");
  ::umask(umask);
}

}  // namespace
}  // namespace serf::cmd
