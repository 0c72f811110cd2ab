#ifndef SERF_TESTING_SIM_VIRTUAL_DISK_H_
#define SERF_TESTING_SIM_VIRTUAL_DISK_H_

// VirtualDisk: the disk of one simulated machine, on which the agent's own SnapshotFile works. It
// stops between any two system calls, or within a write. It loses bytes that were not synced when
// the power fails. It can fail now and then.
//
//   VirtualDisk disk(seed);
//   auto opened = transport::SnapshotFile::Open(disk, "snapshot", false, nullptr);
//   disk.StopAfter(3);                  // the fourth call from here on has half an effect, or none
//   opened->file->Apply(op);
//   opened->file.reset();
//   disk.Reboot(VirtualDisk::Loss::kUnsynced);

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/transport/snapshot_file_system.h"

namespace serf::testkit {

class VirtualDisk final : public transport::SnapshotFileSystem {
 public:
  enum class Loss : std::uint8_t {
    kNothing,   // only the process died: the kernel has all written bytes
    kUnsynced,  // the power failed
  };

  explicit VirtualDisk(std::uint64_t seed) : rng_(seed) {}

  // The probability that a write or a sync fails.
  void set_failure(double probability) { failure_ = probability; }
  // A closed folder takes no new files, as if the file were a mount point.
  void set_folder_closed(bool closed) { folder_closed_ = closed; }
  bool folder_closed() const { return folder_closed_; }
  // The next `calls` calls have an effect, and none after them.
  void StopAfter(std::uint64_t calls) { calls_left_ = calls; }
  // Ends a process, or the whole machine, and starts a new one.
  void Reboot(Loss loss);

  std::uint64_t failures() const { return failures_; }      // intended ones
  std::uint64_t torn() const { return torn_; }              // writes that a stop cut short
  std::uint64_t overwrites() const { return overwrites_; }  // of existing bytes

  // --- SnapshotFileSystem ---
  inline absl::StatusOr<File> OpenOrCreate(const std::string& path,
                                           Permissions permissions) override;
  inline absl::StatusOr<File> Create(const std::string& path, Permissions permissions) override;
  inline absl::StatusOr<std::size_t> Read(File file, MutableByteView out) override;
  inline absl::StatusOr<std::size_t> Write(File file, absl::string_view bytes) override;
  inline absl::StatusOr<std::size_t> WriteAt(File file, std::uint64_t offset,
                                             absl::string_view bytes) override;
  inline absl::Status Truncate(File file, std::uint64_t size) override;
  inline absl::Status Sync(File file) override;
  void Close(File file) override { open_.erase(file); }
  absl::StatusOr<Info> InfoOf(File file) override { return InfoOf(*open_.at(file).inode); }
  inline absl::StatusOr<Info> InfoOf(const std::string& path) override;
  std::string Resolve(const std::string& path) override { return path; }
  inline absl::Status Rename(const std::string& from, const std::string& to) override;
  inline absl::Status Remove(const std::string& path) override;
  inline absl::Status SyncFolderOf(const std::string& path) override;

 private:
  struct Inode {
    std::uint64_t number = 0;
    Permissions permissions = 0;
    std::string content;
    std::size_t synced = 0;  // bytes that outlive a loss of power
    // The old text on the disk, where later writes went over it.
    std::optional<std::string> old_front = {};
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  struct OpenFile {
    std::shared_ptr<Inode> inode;
    std::size_t read = 0;
  };

  static constexpr std::size_t kBlock = 512;

  // False: the machine has stopped.
  bool Spend() {
    if (calls_left_ && !stopped_) {
      stopped_ = *calls_left_ == 0;
      if (!stopped_) --*calls_left_;
    }
    return !stopped_;
  }
  bool Fails() {
    if (failure_ == 0 || rng_.NextDouble() >= failure_) return false;
    ++failures_;
    return true;
  }
  static absl::Status Stopped() { return absl::AbortedError("the machine has stopped"); }
  static absl::Status NoSpace(absl::string_view call) {
    return absl::ResourceExhaustedError(absl::StrCat(call, " snapshot: no space left on device"));
  }
  File Open(std::shared_ptr<Inode> inode) {
    open_[next_file_] = {std::move(inode), 0};
    return next_file_++;
  }
  std::shared_ptr<Inode> Make(Permissions permissions) {
    auto inode = std::make_shared<Inode>();
    inode->number = next_inode_++;
    inode->permissions = permissions;
    return inode;
  }
  static Info InfoOf(const Inode& inode) {
    return {.device = 1,
            .inode = inode.number,
            .size = inode.content.size(),
            .permissions = inode.permissions,
            .regular = true};
  }

  Rng rng_;
  double failure_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t torn_ = 0;
  std::uint64_t overwrites_ = 0;
  bool folder_closed_ = false;
  std::optional<std::uint64_t> calls_left_;
  bool stopped_ = false;
  Names names_;
  Names synced_names_;
  std::map<File, OpenFile> open_;
  File next_file_ = 3;
  std::uint64_t next_inode_ = 1;
};

inline void VirtualDisk::Reboot(Loss loss) {
  calls_left_.reset();
  stopped_ = false;
  open_.clear();
  if (loss == Loss::kNothing) return;
  // Names that were not synced may have reached the disk or not, and so may the end of each file.
  if (rng_.Below(2) == 0) names_ = synced_names_;
  for (auto& [name, inode] : names_) {
    const std::size_t synced = std::min(inode->synced, inode->content.size());
    const std::size_t rest = inode->content.size() - synced;
    inode->content.resize(synced + rng_.Below(std::uint64_t{rest} + 1));
    inode->synced = inode->content.size();
    if (!inode->old_front) continue;
    // Any of the overwritten blocks may have reached the disk, in any order.
    const std::string old = *std::exchange(inode->old_front, std::nullopt);
    for (std::size_t at = 0; at < old.size(); at += kBlock) {
      const std::size_t size = std::min(kBlock, old.size() - at);
      if (rng_.Below(2) == 0) inode->content.replace(at, size, old, at, size);
    }
  }
  synced_names_ = names_;
}

inline absl::StatusOr<VirtualDisk::File> VirtualDisk::OpenOrCreate(const std::string& path,
                                                                   Permissions permissions) {
  if (!Spend()) return Stopped();
  std::shared_ptr<Inode>& inode = names_[path];
  if (inode == nullptr) inode = Make(permissions);
  return Open(inode);
}

inline absl::StatusOr<VirtualDisk::File> VirtualDisk::Create(const std::string& path,
                                                             Permissions permissions) {
  if (!Spend()) return Stopped();
  if (folder_closed_) {
    return absl::PermissionDeniedError(absl::StrCat("open ", path, ": permission denied"));
  }
  return Open(names_[path] = Make(permissions));
}

inline absl::StatusOr<std::size_t> VirtualDisk::Read(File file, MutableByteView out) {
  OpenFile& open = open_.at(file);
  const std::string& content = open.inode->content;
  const std::size_t size = std::min(out.size(), content.size() - open.read);
  std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(open.read), size, out.begin());
  open.read += size;
  return size;
}

inline absl::StatusOr<std::size_t> VirtualDisk::Write(File file, absl::string_view bytes) {
  std::string& content = open_.at(file).inode->content;
  const auto append_part = [&] {
    const std::size_t part = rng_.Below(std::uint64_t{bytes.size()} + 1);
    content.append(bytes.data(), part);
    return part;
  };
  const bool ran = !stopped_;
  if (!Spend()) {
    if (ran && append_part() > 0) ++torn_;
    return Stopped();
  }
  if (Fails()) {
    append_part();
    return NoSpace("write");
  }
  content.append(bytes.data(), bytes.size());
  return bytes.size();
}

inline absl::StatusOr<std::size_t> VirtualDisk::WriteAt(File file, std::uint64_t offset,
                                                        absl::string_view bytes) {
  Inode& inode = *open_.at(file).inode;
  const auto write = [&](std::size_t size) {
    if (!inode.old_front) inode.old_front = inode.content.substr(0, offset + bytes.size());
    inode.content.replace(offset, size, bytes.data(), size);
  };
  const bool ran = !stopped_;
  const bool spent = Spend();
  if (!spent || Fails()) {
    if (ran) write(rng_.Below(std::uint64_t{bytes.size()} + 1));
    if (!spent && ran) ++torn_;
    return spent ? NoSpace("write") : Stopped();
  }
  ++overwrites_;
  write(bytes.size());
  return bytes.size();
}

inline absl::Status VirtualDisk::Truncate(File file, std::uint64_t size) {
  if (!Spend()) return Stopped();
  Inode& inode = *open_.at(file).inode;
  inode.content.resize(size);
  inode.synced = std::min<std::size_t>(inode.synced, size);
  return absl::OkStatus();
}

inline absl::Status VirtualDisk::Sync(File file) {
  if (!Spend()) return Stopped();
  if (Fails()) return NoSpace("sync");
  Inode& inode = *open_.at(file).inode;
  inode.synced = inode.content.size();
  inode.old_front.reset();
  return absl::OkStatus();
}

inline absl::StatusOr<VirtualDisk::Info> VirtualDisk::InfoOf(const std::string& path) {
  const auto found = names_.find(path);
  if (found != names_.end()) return InfoOf(*found->second);
  return absl::NotFoundError(absl::StrCat("stat ", path, ": no such file or directory"));
}

inline absl::Status VirtualDisk::Rename(const std::string& from, const std::string& to) {
  if (!Spend()) return Stopped();
  const auto found = names_.find(from);
  if (found == names_.end()) {
    return absl::NotFoundError(absl::StrCat("rename ", from, ": no such file or directory"));
  }
  names_[to] = found->second;
  names_.erase(from);
  return absl::OkStatus();
}

inline absl::Status VirtualDisk::Remove(const std::string& path) {
  if (!Spend()) return Stopped();
  if (names_.erase(path) > 0) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("remove ", path, ": no such file or directory"));
}

inline absl::Status VirtualDisk::SyncFolderOf(const std::string&) {
  if (!Spend()) return Stopped();
  synced_names_ = names_;
  return absl::OkStatus();
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_VIRTUAL_DISK_H_
