// Tests SnapshotFile on a disk that stops at any byte, forgets bytes that were not synced, fills
// up, or fails at any call. snapshot_file_real_disk_test.cc has the real disk.

#include "serf/transport/snapshot_file.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/snapshot/snapshot.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_state.h"

namespace serf::transport {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

constexpr char kPath[] = "dir/snap";
constexpr char kNewPath[] = "dir/snap.compact";
constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

// A disk in memory. It keeps apart what a killed process leaves behind and what a machine without
// power does.
class FakeDisk final : public SnapshotFileSystem {
 public:
  struct Inode {
    std::string bytes = {};
    std::string synced = {};
    Permissions permissions = 0;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  // The bytes and calls that still take effect; after them everything fails.
  std::uint64_t steps_left = kUnlimited;
  std::uint64_t steps = 0;
  // The calls that may fail are numbered. Those from `fail_from` up to `fail_to` - 1 fail.
  std::uint64_t fail_from = kUnlimited;
  std::uint64_t fail_to = kUnlimited;
  std::uint64_t calls = 0;
  // Bytes that one write takes, and bytes that the disk holds.
  std::size_t write_max = 7;
  std::size_t capacity = kUnlimited;
  // True if even a cut needs room that the disk does not have.
  bool no_room_to_cut = false;
  // True if the folder takes no new file.
  bool closed = false;

  // Starts again after a stop. Names and bytes are as they were, or as they were last synced.
  void Restart(bool names_lost, bool bytes_lost) {
    steps_left = kUnlimited;
    open_.clear();
    if (names_lost) names_ = synced_names_;
    for (const auto& [path, inode] : names_) {
      if (bytes_lost) inode->bytes = inode->synced;
      inode->synced = inode->bytes;
    }
    synced_names_ = names_;
  }

  Names& names() { return names_; }
  std::string Text(const std::string& path = kPath) const {
    const auto found = names_.find(path);
    return found == names_.end() ? "" : found->second->bytes;
  }
  std::size_t open_files() const { return open_.size(); }

  absl::StatusOr<File> OpenOrCreate(const std::string& path, Permissions permissions) override {
    if (!names_.contains(path)) {
      if (!Step() || Fails()) return absl::UnavailableError("open");
      names_[path] = std::make_shared<Inode>(Inode{.permissions = permissions});
    }
    return Add(names_[path]);
  }
  absl::StatusOr<File> Create(const std::string& path, Permissions permissions) override {
    if (!Step() || Fails() || closed) return absl::UnavailableError("create");
    names_[path] = std::make_shared<Inode>(Inode{.permissions = permissions});
    return Add(names_[path]);
  }
  absl::StatusOr<std::size_t> Read(File file, MutableByteView out) override {
    Open& open = open_.at(file);
    const std::size_t size = std::min({out.size(), open.inode->bytes.size() - open.at, write_max});
    std::copy_n(open.inode->bytes.begin() + static_cast<std::ptrdiff_t>(open.at), size,
                out.begin());
    open.at += size;
    return size;
  }
  absl::StatusOr<std::size_t> Write(File file, absl::string_view bytes) override {
    if (Fails()) return absl::UnavailableError("write: input/output error");
    std::string& to = open_.at(file).inode->bytes;
    std::size_t put = 0;
    for (const char c : bytes.substr(0, write_max)) {
      if (Used() >= capacity || !Step()) break;
      to += c;
      ++put;
    }
    if (put == 0) {
      return Used() >= capacity ? absl::ResourceExhaustedError("write: no space left on device")
                                : absl::UnavailableError("write: stopped");
    }
    return put;
  }
  absl::StatusOr<std::size_t> WriteAt(File file, std::uint64_t offset,
                                      absl::string_view bytes) override {
    if (Fails()) return absl::UnavailableError("write: input/output error");
    std::string& to = open_.at(file).inode->bytes;
    std::size_t put = 0;
    for (const char c : bytes.substr(0, write_max)) {
      if (!Step()) break;
      to.at(static_cast<std::size_t>(offset) + put) = c;
      ++put;
    }
    if (put == 0) return absl::UnavailableError("write: stopped");
    return put;
  }
  absl::Status Truncate(File file, std::uint64_t size) override {
    if (no_room_to_cut) return absl::ResourceExhaustedError("truncate: no space left on device");
    if (!Step() || Fails()) return absl::UnavailableError("truncate");
    open_.at(file).inode->bytes.resize(size);
    return absl::OkStatus();
  }
  absl::Status Sync(File file) override {
    if (!Step() || Fails()) return absl::UnavailableError("sync");
    const auto& inode = open_.at(file).inode;
    inode->synced = inode->bytes;
    return absl::OkStatus();
  }
  void Close(File file) override { open_.erase(file); }
  absl::StatusOr<Info> InfoOf(File file) override { return ToInfo(*open_.at(file).inode); }
  absl::StatusOr<Info> InfoOf(const std::string& path) override {
    const auto found = names_.find(path);
    if (found == names_.end()) return absl::NotFoundError(absl::StrCat("stat ", path));
    return ToInfo(*found->second);
  }
  std::string Resolve(const std::string& path) override { return path; }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (!Step() || Fails()) return absl::UnavailableError("rename");
    names_[to] = names_.at(from);
    names_.erase(from);
    return absl::OkStatus();
  }
  absl::Status Remove(const std::string& path) override {
    if (!Step() || Fails()) return absl::UnavailableError("remove");
    names_.erase(path);
    return absl::OkStatus();
  }
  absl::Status SyncFolderOf(const std::string& path) override {
    EXPECT_EQ(path, kPath);
    if (!Step() || Fails()) return absl::UnavailableError("sync folder");
    synced_names_ = names_;
    return absl::OkStatus();
  }

 private:
  struct Open {
    std::shared_ptr<Inode> inode;
    std::size_t at = 0;
  };

  bool Step() {
    ++steps;
    if (steps_left == 0) return false;
    if (steps_left != kUnlimited) --steps_left;
    return true;
  }
  bool Fails() {
    const std::uint64_t call = calls++;
    return call >= fail_from && call < fail_to;
  }
  std::size_t Used() const {
    std::size_t used = 0;
    for (const auto& [path, inode] : names_) used += inode->bytes.size();
    return used;
  }
  File Add(std::shared_ptr<Inode> inode) {
    open_[next_] = {std::move(inode), 0};
    return next_++;
  }
  static Info ToInfo(const Inode& inode) {
    return {.device = 1,
            .inode = reinterpret_cast<std::uintptr_t>(&inode),
            .size = inode.bytes.size(),
            .permissions = inode.permissions,
            .regular = true};
  }

  Names names_;
  Names synced_names_;
  std::map<File, Open> open_;
  File next_ = 3;
};

SnapshotFile::Opened OpenOn(FakeDisk& disk) {
  absl::StatusOr<SnapshotFile::Opened> opened = SnapshotFile::Open(disk, kPath, false, nullptr);
  EXPECT_TRUE(opened.ok()) << opened.status();
  return *std::move(opened);
}

std::string WholeLines(const std::string& text) { return text.substr(0, text.rfind('\n') + 1); }

// --- a stop ---

struct Op {
  SnapshotOp::Kind kind;
  const char* text;
};
constexpr Op kScript[] = {
    {SnapshotOp::Kind::kAppend, "alive: a 10.0.0.1:7946\n"},
    {SnapshotOp::Kind::kAppend, "alive: b 10.0.0.2:7946\nclock: 4\nevent-clock: 2\n"},
    {SnapshotOp::Kind::kReplace, "alive: a 10.0.0.1:7946\nclock: 4\n"},
    {SnapshotOp::Kind::kAppend, "not-alive: a\nclock: 5\n"},
    {SnapshotOp::Kind::kReplace, "clock: 6\n"},
    {SnapshotOp::Kind::kAppend, "leave\n"},
};

// The state that a file's lines describe.
std::string StateOf(absl::string_view text) {
  SnapshotReader reader(false, nullptr);
  reader.Read(text);
  const SnapshotState state = std::move(reader).Finish();
  std::string all = absl::StrCat(state.clock.value(), " ", state.event_clock.value(), " ",
                                 state.query_clock.value());
  for (const auto& [name, address] : state.alive) absl::StrAppend(&all, " ", name, "=", address);
  return all;
}

// After a stop within the operation that follows `done` ones, the file holds that operation's whole
// effect or none of it; an append may have left a beginning of its lines.
void ExpectSomeState(const std::string& text, const std::string& before, const Op* next) {
  if (text == before) return;
  ASSERT_NE(next, nullptr) << text;
  const std::string after =
      next->kind == SnapshotOp::Kind::kReplace ? next->text : absl::StrCat(before, next->text);
  if (next->kind == SnapshotOp::Kind::kReplace) {
    EXPECT_EQ(text, after);
  } else {
    EXPECT_TRUE(absl::StartsWith(after, text) && absl::StartsWith(text, before)) << text;
  }
}

TEST(SnapshotFileTest, StopAtEveryByteAndCall) {
  std::uint64_t stops = 0;
  for (std::uint64_t stop = 0;; ++stop) {
    bool finished = false;
    for (const bool names_lost : {false, true}) {
      for (const bool bytes_lost : {false, true}) {
        SCOPED_TRACE(absl::StrCat("stop ", stop, " names ", names_lost, " bytes ", bytes_lost));
        FakeDisk disk;
        disk.steps_left = stop;
        std::string before;
        const Op* next = nullptr;
        {
          auto opened = SnapshotFile::Open(disk, kPath, false, nullptr);
          for (const Op& op : kScript) {
            next = &op;
            if (!opened.ok() || !opened->file->Apply({op.kind, op.text}).ok()) break;
            before =
                op.kind == SnapshotOp::Kind::kReplace ? op.text : absl::StrCat(before, op.text);
            next = nullptr;
          }
          finished = opened.ok() && next == nullptr;
        }
        disk.Restart(names_lost, bytes_lost);
        const SnapshotFile::Opened again = OpenOn(disk);
        ExpectSomeState(WholeLines(disk.Text()), before, next);
        EXPECT_EQ(disk.Text(), WholeLines(disk.Text())) << "a torn line was left";
        EXPECT_FALSE(disk.names().contains(kNewPath));
        EXPECT_EQ(again.state.size, disk.Text().size());
        // The recovered file can be used further.
        const std::string recovered = disk.Text();
        ASSERT_TRUE(again.file->Append("alive: z 10.0.0.9:1\n").ok());
        EXPECT_EQ(disk.Text(), absl::StrCat(recovered, "alive: z 10.0.0.9:1\n"));
        EXPECT_EQ(disk.open_files(), 1u);
      }
    }
    if (finished) break;
    ++stops;
  }
  EXPECT_GT(stops, 150u);
}

// The same in a folder that takes no new file. The text goes over the old one, and a stop at any
// byte leaves the old text or the new one.
TEST(SnapshotFileTest, StopAtEveryByteAndCallInAClosedFolder) {
  constexpr Op kOps[] = {
      {SnapshotOp::Kind::kAppend, "alive: ab 10.0.0.1:7946\nalive: c 10.0.0.3:1\nclock: 7\n"},
      {SnapshotOp::Kind::kAppend, "not-alive: ab\nevent-clock: 2\n"},
      {SnapshotOp::Kind::kReplace, "alive: c 10.0.0.3:1\nclock: 8\nevent-clock: 2\n"},
      {SnapshotOp::Kind::kAppend, "alive: d 10.0.0.4:1\n"},
      // This text is longer than the old one, so it cannot go to the front.
      {SnapshotOp::Kind::kReplace,
       "alive: eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee 10.0.0.5:1\nclock: 9\nquery-clock: 3\n"},
      {SnapshotOp::Kind::kReplace, "clock: 10\n"},
      {SnapshotOp::Kind::kAppend, "clock: 11\n"},
  };
  std::uint64_t stops = 0;
  for (std::uint64_t stop = 0;; ++stop) {
    bool finished = false;
    for (const bool bytes_lost : {false, true}) {
      SCOPED_TRACE(absl::StrCat("stop ", stop, " bytes ", bytes_lost));
      FakeDisk disk;
      disk.closed = true;
      disk.names()[kPath] = std::make_shared<FakeDisk::Inode>();
      ASSERT_TRUE(disk.SyncFolderOf(kPath).ok());
      disk.steps_left = stop;
      std::string before;
      std::string after;
      {
        const SnapshotFile::Opened opened = OpenOn(disk);
        finished = true;
        for (const Op& op : kOps) {
          after = op.kind == SnapshotOp::Kind::kReplace ? op.text : absl::StrCat(before, op.text);
          // An append that was cut short is a beginning of its lines.
          if (!opened.file->Apply({op.kind, op.text}).ok() || disk.steps_left == 0) {
            finished = false;
            break;
          }
          before = after;
        }
      }
      disk.Restart(/*names_lost=*/false, bytes_lost);
      std::vector<std::string> allowed = {StateOf(before), StateOf(after)};
      for (std::size_t end = 0; absl::StartsWith(after, before) && end < after.size(); ++end) {
        allowed.push_back(StateOf(after.substr(0, end)));
      }
      const SnapshotFile::Opened again = OpenOn(disk);
      EXPECT_THAT(allowed, Contains(StateOf(disk.Text())));
      ASSERT_TRUE(again.file->Append("query-clock: 99\n").ok());
      ASSERT_TRUE(again.file->Replace("clock: 50\n").ok());
      ASSERT_TRUE(again.file->Append("event-clock: 60\n").ok());
      EXPECT_EQ(StateOf(disk.Text()), "50 60 0");
    }
    if (finished) break;
    ++stops;
  }
  EXPECT_GT(stops, 300u);
}

// --- failures ---

// A machine's work on a disk: members come and go, and clocks advance. Then the disk works again.
void Live(FakeDisk& disk, const std::function<void(int)>& step = {}) {
  SnapshotFile::Opened opened;
  for (int tries = 0; opened.file == nullptr; ++tries) {
    ASSERT_LT(tries, 100);
    auto result = SnapshotFile::Open(disk, kPath, false, nullptr);
    if (result.ok()) opened = *std::move(result);
  }
  Instant now{};
  Snapshot snapshot(now, opened.state, {});
  const auto work = [&] {
    for (;;) {
      std::vector<SnapshotOp> ops;
      snapshot.Flush(now, ops);
      if (ops.empty()) return;
      for (const SnapshotOp& op : ops) snapshot.OnDone(now, opened.file->Apply(op));
    }
  };
  for (int i = 0; i < 40; ++i) {
    if (step) step(i);
    Member member;
    member.name = absl::StrCat("node-", i % 7);
    member.endpoint = Endpoint::Parse("10.0.0.1:7946").value();
    const MemberEventKind kinds[] = {MemberEventKind::kJoin, MemberEventKind::kFailed,
                                     MemberEventKind::kJoin, MemberEventKind::kLeave};
    snapshot.OnMemberEvent({kinds[i % 4], {member}});
    snapshot.OnUserEvent(wire::LamportTime(static_cast<std::uint64_t>(i)));
    now += Snapshot::kFlushInterval;
    work();
  }
  disk.fail_to = 0;
  disk.capacity = kUnlimited;
  now += Snapshot::kRecoveryInterval;
  work();
  EXPECT_FALSE(snapshot.behind());
  opened.file.reset();
  const SnapshotState recovered = OpenOn(disk).state;
  EXPECT_EQ(recovered.alive, snapshot.state().alive);
  EXPECT_EQ(recovered.failed, snapshot.state().failed);
  EXPECT_EQ(recovered.event_clock, snapshot.state().event_clock);
  EXPECT_EQ(disk.Text(), WholeLines(disk.Text()));
}

TEST(SnapshotFileTest, EveryCallFailsOnceOrForAWhile) {
  FakeDisk healthy;
  Live(healthy);
  ASSERT_GT(healthy.calls, 200u);
  for (const bool closed : {false, true}) {
    for (const std::uint64_t length : {1u, 2u, 3u, 50u}) {
      for (std::uint64_t call = 0; call < healthy.calls; ++call) {
        SCOPED_TRACE(absl::StrCat("calls ", call, " to ", call + length, " closed ", closed));
        FakeDisk disk;
        disk.closed = closed;
        disk.fail_from = call;
        disk.fail_to = call + length;
        Live(disk);
      }
    }
  }
}

TEST(SnapshotFileTest, FullDisk) {
  for (std::size_t capacity = 0; capacity < 600; capacity += 13) {
    SCOPED_TRACE(capacity);
    FakeDisk disk;
    disk.capacity = capacity;
    Live(disk);
  }
}

TEST(SnapshotFileTest, DeletedOrReplacedUnderway) {
  for (const bool replaced : {false, true}) {
    FakeDisk disk;
    Live(disk, [&](int i) {
      if (i != 20) return;
      disk.names().erase(kPath);
      if (replaced) disk.names()[kPath] = std::make_shared<FakeDisk::Inode>();
    });
  }
}

// Go Serf writes line by line, so a full disk holds the lines that fit. So it does here.
TEST(SnapshotFileTest, WhatFitsOnAFullDiskIsWrittenAndTheRestLater) {
  constexpr absl::string_view kLines = "clock: 1\nevent-clock: 1\nquery-clock: 1\n";
  for (std::size_t capacity = 0; capacity <= kLines.size(); ++capacity) {
    SCOPED_TRACE(capacity);
    FakeDisk disk;
    const SnapshotFile::Opened opened = OpenOn(disk);
    disk.capacity = capacity;
    const absl::Status status = opened.file->Append(kLines);
    EXPECT_EQ(status.ok(), capacity == kLines.size());
    if (!status.ok()) {
      EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    }
    EXPECT_EQ(disk.Text(), WholeLines(std::string(kLines.substr(0, capacity))));
    // Nothing gets before what waits, however little room there is.
    disk.capacity = std::min(capacity + 9, kLines.size());
    static_cast<void>(opened.file->Append("clock: 2\n"));
    EXPECT_EQ(disk.Text(), WholeLines(std::string(kLines.substr(0, disk.capacity))));
    disk.capacity = kUnlimited;
    EXPECT_TRUE(opened.file->Append("").ok());
    EXPECT_EQ(disk.Text(), absl::StrCat(kLines, "clock: 2\n"));
  }
}

TEST(SnapshotFileTest, ATornLineThatAFullDiskCannotCutOffLosesNothing) {
  FakeDisk disk;
  const SnapshotFile::Opened opened = OpenOn(disk);
  ASSERT_TRUE(opened.file->Append("clock: 1\n").ok());
  disk.capacity = disk.Text().size() + 3;
  disk.no_room_to_cut = true;
  EXPECT_TRUE(absl::IsResourceExhausted(opened.file->Append("clock: 2\n")));
  EXPECT_EQ(disk.Text(), "clock: 1\nclo");
  EXPECT_TRUE(absl::IsResourceExhausted(opened.file->Append("")));
  EXPECT_TRUE(absl::IsResourceExhausted(opened.file->Append("clock: 3\n")));
  EXPECT_EQ(disk.Text(), "clock: 1\nclo");
  disk.capacity = kUnlimited;
  disk.no_room_to_cut = false;
  EXPECT_TRUE(opened.file->Append("").ok());
  EXPECT_EQ(disk.Text(), "clock: 1\nclock: 2\nclock: 3\n");
}

TEST(SnapshotFileTest, WhatWaitsForRoomIsBounded) {
  FakeDisk disk;
  const SnapshotFile::Opened opened = OpenOn(disk);
  disk.capacity = 0;
  const std::string lines(SnapshotFile::kWaitingMax / 2, '\n');
  EXPECT_TRUE(absl::IsResourceExhausted(opened.file->Append(lines)));
  EXPECT_TRUE(absl::IsResourceExhausted(opened.file->Append(lines)));
  EXPECT_TRUE(absl::IsDataLoss(opened.file->Append("clock: 1\n")));
  // A new beginning, which the whole file makes good.
  disk.capacity = kUnlimited;
  EXPECT_TRUE(opened.file->Append("clock: 2\n").ok());
  EXPECT_EQ(disk.Text(), "clock: 2\n");
}

// The whole file has what waits.
TEST(SnapshotFileTest, NothingWaitsBehindAWholeFile) {
  for (const bool closed : {false, true}) {
    FakeDisk disk;
    disk.closed = closed;
    const SnapshotFile::Opened opened = OpenOn(disk);
    disk.capacity = 3;
    EXPECT_TRUE(absl::IsResourceExhausted(opened.file->Append("clock: 1\n")));
    EXPECT_FALSE(opened.file->Replace("clock: 2\n").ok());
    disk.capacity = kUnlimited;
    EXPECT_TRUE(opened.file->Replace("clock: 3\n").ok());
    EXPECT_TRUE(opened.file->Append("clock: 4\n").ok());
    EXPECT_EQ(StateOf(disk.Text()), "4 0 0");
    EXPECT_THAT(disk.Text(), Not(HasSubstr("clock: 1\n")));
  }
}

TEST(SnapshotFileTest, AnAppendThatFailsLeavesNothing) {
  FakeDisk disk;
  const SnapshotFile::Opened opened = OpenOn(disk);
  ASSERT_TRUE(opened.file->Append("clock: 1\n").ok());
  disk.fail_from = disk.calls + 1;
  disk.fail_to = disk.calls + 2;
  EXPECT_THAT(opened.file->Append("event-clock: 1\n").message(), HasSubstr("input/output"));
  EXPECT_EQ(disk.Text(), "clock: 1\n");
  // Even the cut fails, so the next append repeats it.
  disk.fail_from = disk.calls + 2;
  disk.fail_to = disk.calls + 6;
  EXPECT_FALSE(opened.file->Append("event-clock: 1\n").ok());
  EXPECT_EQ(disk.Text(), "clock: 1\nevent-clock: 1");
  disk.fail_to = 0;
  disk.capacity = kUnlimited;
  EXPECT_TRUE(opened.file->Append("query-clock: 1\n").ok());
  EXPECT_EQ(disk.Text(), "clock: 1\nquery-clock: 1\n");
}

// --- opening ---

TEST(SnapshotFileTest, TornLineIsCutOff) {
  FakeDisk disk;
  disk.names()[kPath] = std::make_shared<FakeDisk::Inode>();
  disk.names()[kPath]->bytes = "alive: a 10.0.0.1:7946\nclock: 3\nalive: b 10.0.0.2:79";
  const SnapshotFile::Opened opened = OpenOn(disk);
  EXPECT_THAT(opened.state.alive, ElementsAre(Pair("a", "10.0.0.1:7946")));
  ASSERT_TRUE(opened.file->Append("clock: 4\n").ok());
  EXPECT_EQ(disk.Text(), "alive: a 10.0.0.1:7946\nclock: 3\nclock: 4\n");
}

// Go Serf deletes the old file before it renames the new one.
TEST(SnapshotFileTest, LeftoverOfTheOriginalsCompactionIsTheFile) {
  FakeDisk disk;
  disk.names()[kNewPath] = std::make_shared<FakeDisk::Inode>();
  disk.names()[kNewPath]->bytes = "alive: a 10.0.0.1:7946\n";
  EXPECT_EQ(OpenOn(disk).state.alive.size(), 1u);
  EXPECT_FALSE(disk.names().contains(kNewPath));
  // If the file exists, the leftover does not count.
  disk.names()[kNewPath] = std::make_shared<FakeDisk::Inode>();
  disk.names()[kNewPath]->bytes = "alive: x 10.0.0.1:7946\nalive: y";
  EXPECT_THAT(OpenOn(disk).state.alive, ElementsAre(Pair("a", "10.0.0.1:7946")));
  EXPECT_FALSE(disk.names().contains(kNewPath));
}

}  // namespace
}  // namespace serf::transport
