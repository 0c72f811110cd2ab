// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_SNAPSHOT_FILE_H_
#define SERF_TRANSPORT_SNAPSHOT_FILE_H_

// SnapshotFile: the file of a serf::Snapshot on the disk. An operation that returns OK is on the
// disk. Wherever the process or the machine stops, the file holds whole lines up to some operation,
// and at most one torn line at the end, which Open() cuts off. Source: docs/protocol/serf.md 9.3,
// 9.5 and 9.6; it differs where Go Serf loses data.
//
// A compaction writes a new file beside the old one and renames it. In some places that is
// impossible, as in a folder without write permission, or if the file is a mount point. The new
// text then goes into the old file: first behind the old text, between two lines that make it count
// only when it is whole; then to the front; then the rest is cut off. A stop at any byte leaves the
// old text or the new one there, too.
//
//   absl::StatusOr<SnapshotFile::Opened> opened = SnapshotFile::Open(system, path, rejoin, logger);
//   Snapshot snapshot(now, opened->state, {});
//   for (const SnapshotOp& op : ops) snapshot.OnDone(now, opened->file->Apply(op));

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"
#include "serf/transport/snapshot_file_system.h"

namespace serf::transport {

class SnapshotFile {
 public:
  // The permissions of a new file, before the process's umask. Go Serf's first compaction makes a
  // file 0755.
  static constexpr SnapshotFileSystem::Permissions kPermissions = 0644;
  // The most bytes that wait for room on the disk: the news of some 10,000 nodes. In most clusters
  // the whole file is no longer, and serves as well.
  static constexpr std::size_t kWaitingMax = 1 << 20;

  struct Opened {
    std::unique_ptr<SnapshotFile> file;
    SnapshotState state;
  };

  // Opens the file, or makes it, and reads it. `system` must outlive the SnapshotFile. The error
  // reads "failed to open snapshot: open PATH: ...".
  static absl::StatusOr<Opened> Open(SnapshotFileSystem& system, std::string path,
                                     bool rejoin_after_leave, Logger* logger);
  // Reports the error with which Open() would fail. Leaves the file, or its absence, as it was.
  static absl::Status Check(SnapshotFileSystem& system, const std::string& path);
  ~SnapshotFile() { Close(); }
  SnapshotFile(const SnapshotFile&) = delete;
  SnapshotFile& operator=(const SnapshotFile&) = delete;

  absl::Status Apply(const SnapshotOp& op) {
    if (!file_) return absl::OkStatus();  // /dev/null
    return op.kind == SnapshotOp::Kind::kAppend ? Append(op.text) : Replace(op.text);
  }

  // Appends whole lines. ResourceExhausted: the disk is full. The file then holds the lines that
  // fit, and the rest waits here; the next Append(), even of nothing, writes the rest first. After
  // any other error the file holds none of the lines, and none waits. NotFound: somebody deleted or
  // replaced the file meanwhile; Replace() makes it anew. DataLoss: the disk is full, and more than
  // kWaitingMax would wait.
  absl::Status Append(absl::string_view lines);

  // Replaces all text by `text`, and drops the lines that wait. The permissions stay. After an
  // error the file holds the old text; only an error of the last step, the sync of the folder,
  // leaves either text. After a success the file may be longer than `text`, if it could not be
  // renamed.
  absl::Status Replace(absl::string_view text);

 private:
  using File = SnapshotFileSystem::File;
  static constexpr std::size_t kReadSize = 64 << 10;

  SnapshotFile(SnapshotFileSystem& system, std::string path)
      : system_(system), path_(std::move(path)) {}

  struct OpenFile {
    File file;
    SnapshotFileSystem::Info info;
  };
  static absl::StatusOr<OpenFile> OpenPath(SnapshotFileSystem& system, const std::string& path);
  static absl::Status NotOpened(const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat("failed to open snapshot: ",
                                                    absl::string_view(status.message())));
  }
  void SettleLeftover();
  absl::Status ReadAll(SnapshotReader& reader);
  absl::Status CutOffTorn();
  absl::Status CheckStillThere();
  absl::Status AppendLines(absl::string_view lines);
  absl::Status KeepWhatFits(absl::string_view lines, std::size_t put, const absl::Status& full);
  absl::Status WriteAll(File file, absl::string_view text, std::size_t* put = nullptr);
  // Replaces the text by a new file.
  absl::Status Exchange(const std::string& target, absl::string_view text);
  absl::Status WriteNew(File file, absl::string_view text, const std::string& new_path,
                        const std::string& target);
  // Replaces the text within the old file.
  absl::Status Overwrite(absl::string_view text);
  absl::Status WriteBehind(absl::string_view text);
  absl::Status WriteFront(absl::string_view text);
  // The path of the file that will replace `target`.
  static std::string NewPath(const std::string& target) { return absl::StrCat(target, ".compact"); }
  void Close() {
    if (file_) system_.Close(*file_);
    file_.reset();
  }

  SnapshotFileSystem& system_;
  std::string path_;
  std::optional<File> file_;
  std::uint64_t size_ = 0;  // the length of the whole lines
  bool torn_ = false;       // a torn line may follow them
  std::string waiting_;     // lines that a full disk did not take
};

inline absl::StatusOr<SnapshotFile::Opened> SnapshotFile::Open(SnapshotFileSystem& system,
                                                               std::string path,
                                                               bool rejoin_after_leave,
                                                               Logger* logger) {
  Opened opened;
  opened.file.reset(new SnapshotFile(system, std::move(path)));
  SnapshotFile& self = *opened.file;
  self.SettleLeftover();
  const absl::StatusOr<OpenFile> open = OpenPath(system, self.path_);
  if (!open.ok()) return NotOpened(open.status());
  self.file_ = open->file;
  const SnapshotFileSystem::Info& info = open->info;
  if (info.null) {
    self.Close();
    return opened;
  }
  SnapshotReader reader(rejoin_after_leave, logger);
  if (absl::Status status = self.ReadAll(reader); !status.ok()) return NotOpened(status);
  opened.state = std::move(reader).Finish();
  self.torn_ = info.size != opened.state.size;
  self.size_ = opened.state.size;
  // If the cut fails now, the next append repeats it.
  static_cast<void>(self.CutOffTorn());
  // Makes the name of a new file durable.
  if (info.size == 0) static_cast<void>(system.SyncFolderOf(self.path_));
  return opened;
}

inline absl::StatusOr<SnapshotFile::OpenFile> SnapshotFile::OpenPath(SnapshotFileSystem& system,
                                                                     const std::string& path) {
  const absl::StatusOr<File> file = system.OpenOrCreate(path, kPermissions);
  if (!file.ok()) return file.status();
  absl::StatusOr<SnapshotFileSystem::Info> info = system.InfoOf(*file);
  if (info.ok() && !info->null && !info->regular) {
    info = absl::InvalidArgumentError(absl::StrCat("open ", path, ": not a regular file"));
  }
  if (info.ok()) return OpenFile{*file, *info};
  system.Close(*file);
  return info.status();
}

inline absl::Status SnapshotFile::Check(SnapshotFileSystem& system, const std::string& path) {
  const bool is_new = absl::IsNotFound(system.InfoOf(path).status());
  const absl::StatusOr<OpenFile> open = OpenPath(system, path);
  if (!open.ok()) return NotOpened(open.status());
  system.Close(open->file);
  // Removes the file that a link leads to, not the link.
  return is_new ? system.Remove(system.Resolve(path)) : absl::OkStatus();
}

// Go Serf deletes the file before it renames the new one. If Go Serf stopped in between, only the
// new file exists, and it is complete. In any other case a leftover is ignored.
inline void SnapshotFile::SettleLeftover() {
  const std::string target = system_.Resolve(path_);
  const std::string leftover = NewPath(target);
  if (!system_.InfoOf(leftover).ok()) return;
  if (absl::IsNotFound(system_.InfoOf(target).status())) {
    static_cast<void>(system_.Rename(leftover, target));
  } else {
    static_cast<void>(system_.Remove(leftover));
  }
}

inline absl::Status SnapshotFile::ReadAll(SnapshotReader& reader) {
  auto buffer = std::make_unique<std::array<std::uint8_t, kReadSize>>();
  for (;;) {
    const absl::StatusOr<std::size_t> got = system_.Read(*file_, *buffer);
    if (!got.ok()) return got.status();
    if (*got == 0) return absl::OkStatus();
    reader.Read(AsText(ByteView(*buffer).first(*got)));
  }
}

inline absl::Status SnapshotFile::CutOffTorn() {
  if (!torn_) return absl::OkStatus();
  if (absl::Status status = system_.Truncate(*file_, size_); !status.ok()) return status;
  torn_ = false;
  return absl::OkStatus();
}

// Without this check lines would go to a file without a name, and nobody would notice before the
// restart.
inline absl::Status SnapshotFile::CheckStillThere() {
  const absl::StatusOr<SnapshotFileSystem::Info> named = system_.InfoOf(path_);
  if (!named.ok()) return named.status();
  const absl::StatusOr<SnapshotFileSystem::Info> open = system_.InfoOf(*file_);
  if (!open.ok()) return open.status();
  if (named->device != open->device || named->inode != open->inode) {
    return absl::NotFoundError(absl::StrCat("stat ", path_, ": another file is there"));
  }
  return absl::OkStatus();
}

inline absl::Status SnapshotFile::Append(absl::string_view lines) {
  // The waiting lines come first, in one piece with the others. After an error other than a full
  // disk the whole file is written anew.
  std::string all = std::exchange(waiting_, {});
  if (all.empty()) return AppendLines(lines);
  absl::StrAppend(&all, lines);
  return AppendLines(all);
}

inline absl::Status SnapshotFile::AppendLines(absl::string_view lines) {
  if (absl::Status status = CheckStillThere(); !status.ok()) return status;
  if (absl::Status status = CutOffTorn(); !status.ok()) {
    // Some file systems need room even for a cut.
    return absl::IsResourceExhausted(status) ? KeepWhatFits(lines, 0, status) : status;
  }
  torn_ = true;
  std::size_t put = 0;
  absl::Status status = WriteAll(*file_, lines, &put);
  if (status.ok()) {
    // Some file systems find out only here that they have no room. Then no byte is known to fit.
    put = 0;
    status = system_.Sync(*file_);
  }
  if (status.ok()) {
    torn_ = false;
    size_ += lines.size();
    return status;
  }
  if (absl::IsResourceExhausted(status)) return KeepWhatFits(lines, put, status);
  static_cast<void>(CutOffTorn());
  return status;
}

// The disk wrote `put` bytes of them before it was full.
inline absl::Status SnapshotFile::KeepWhatFits(absl::string_view lines, std::size_t put,
                                               const absl::Status& full) {
  const std::size_t whole = put == 0 ? 0 : lines.rfind('\n', put - 1) + 1;
  if (system_.Truncate(*file_, size_ + whole).ok() && system_.Sync(*file_).ok()) {
    torn_ = false;
    size_ += whole;
    lines.remove_prefix(whole);
  }
  if (lines.size() > kWaitingMax) return absl::DataLossError(full.message());
  waiting_ = std::string(lines);
  return full;
}

inline absl::Status SnapshotFile::Replace(absl::string_view text) {
  const std::string target = system_.Resolve(path_);
  const absl::Status exchanged = Exchange(target, text);
  if (exchanged.ok()) {
    waiting_.clear();
    return system_.SyncFolderOf(target);
  }
  // Does not write into a file that has lost its name.
  if (!CheckStillThere().ok()) return exchanged;
  const absl::Status written = Overwrite(text);
  if (written.ok()) {
    waiting_.clear();
    return written;
  }
  return absl::Status(written.code(), absl::StrCat(absl::string_view(exchanged.message()), "; ",
                                                   absl::string_view(written.message())));
}

inline absl::Status SnapshotFile::Exchange(const std::string& target, absl::string_view text) {
  SnapshotFileSystem::Permissions permissions = kPermissions;
  if (const auto info = system_.InfoOf(*file_); info.ok()) permissions = info->permissions;
  const std::string new_path = NewPath(target);
  const absl::StatusOr<File> file = system_.Create(new_path, permissions);
  if (!file.ok()) return file.status();
  if (absl::Status status = WriteNew(*file, text, new_path, target); !status.ok()) {
    system_.Close(*file);
    static_cast<void>(system_.Remove(new_path));
    return status;
  }
  // From here on the new file has the name, so lines go there.
  Close();
  file_ = *file;
  size_ = text.size();
  torn_ = false;
  return absl::OkStatus();
}

inline absl::Status SnapshotFile::WriteNew(File file, absl::string_view text,
                                           const std::string& new_path, const std::string& target) {
  if (absl::Status status = WriteAll(file, text); !status.ok()) return status;
  if (absl::Status status = system_.Sync(file); !status.ok()) return status;
  return system_.Rename(new_path, target);
}

inline absl::Status SnapshotFile::Overwrite(absl::string_view text) {
  if (absl::Status status = CutOffTorn(); !status.ok()) return status;
  const std::uint64_t before = size_;
  torn_ = true;
  if (absl::Status status = WriteBehind(text); !status.ok()) {
    static_cast<void>(CutOffTorn());
    return status;
  }
  torn_ = false;
  size_ += kSnapshotBegin.size() + 1 + text.size() + kSnapshotEnd.size() + 1;
  // From here on the new text counts. The rest only makes the file smaller. If it would overwrite
  // the new text, or fails, the next Replace() does it.
  if (before >= text.size() && WriteFront(text).ok() &&
      system_.Truncate(*file_, text.size()).ok()) {
    size_ = text.size();
  }
  return absl::OkStatus();
}

// Writes the last line only when everything before it is on the disk, because a disk keeps no
// order.
inline absl::Status SnapshotFile::WriteBehind(absl::string_view text) {
  absl::Status status = WriteAll(*file_, absl::StrCat(kSnapshotBegin, "\n", text));
  if (status.ok()) status = system_.Sync(*file_);
  if (status.ok()) status = WriteAll(*file_, absl::StrCat(kSnapshotEnd, "\n"));
  if (status.ok()) status = system_.Sync(*file_);
  return status;
}

inline absl::Status SnapshotFile::WriteFront(absl::string_view text) {
  for (std::uint64_t at = 0; at < text.size();) {
    const absl::StatusOr<std::size_t> put = system_.WriteAt(*file_, at, text.substr(at));
    if (!put.ok()) return put.status();
    at += *put;
  }
  return system_.Sync(*file_);
}

// `put` receives the number of written bytes.
inline absl::Status SnapshotFile::WriteAll(File file, absl::string_view text, std::size_t* put) {
  while (!text.empty()) {
    const absl::StatusOr<std::size_t> some = system_.Write(file, text);
    if (!some.ok()) return some.status();
    text.remove_prefix(*some);
    if (put != nullptr) *put += *some;
  }
  return absl::OkStatus();
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_SNAPSHOT_FILE_H_
