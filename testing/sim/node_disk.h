#ifndef SERF_TESTING_SIM_NODE_DISK_H_
#define SERF_TESTING_SIM_NODE_DISK_H_

// NodeDisk: the snapshot file of a simulated node, and the thread that writes it. It does one
// operation after the other, each takes some time, and a crash may come in the middle. The World
// carries it out.
//
//   SnapshotState state = disk.Open(rejoin_after_leave, logger);
//   disk.Push(op);                                   // if disk.idle() before: Finish() after a
//   while const absl::Status status = disk.Finish();       // for Serf::OnSnapshotDone
//   disk.End(loss, rng);

#include <cassert>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"
#include "serf/testing/sim/virtual_disk.h"
#include "serf/transport/snapshot_file.h"

namespace serf::testkit {

class NodeDisk {
 public:
  explicit NodeDisk(std::uint64_t seed) : disk_(seed) {}

  // A process starts. The disk must have no errors meanwhile: an agent would not start.
  absl::StatusOr<SnapshotState> Open(bool rejoin_after_leave, Logger* logger) {
    auto opened = transport::SnapshotFile::Open(disk_, "snapshot", rejoin_after_leave, logger);
    if (!opened.ok()) return opened.status();
    file_ = std::move(opened->file);
    return std::move(opened->state);
  }

  void Push(SnapshotOp op) { ops_.push_back(std::move(op)); }
  bool idle() const { return ops_.empty(); }

  // Carries out the oldest operation.
  absl::Status Finish() {
    assert(!idle());
    const SnapshotOp op = std::move(ops_.front());
    ops_.pop_front();
    return file_->Apply(op);
  }

  // The process ends. The first operation that waits is half done, and the others have not begun.
  void End(VirtualDisk::Loss loss, Rng& rng) {
    if (!ops_.empty()) {
      disk_.StopAfter(rng.Below(ops_.front().kind == SnapshotOp::Kind::kAppend ? kCallsPerAppend
                                : disk_.folder_closed()                        ? kCallsPerOverwrite
                                                                               : kCallsPerReplace));
      static_cast<void>(file_->Apply(ops_.front()));
    }
    ops_.clear();
    file_.reset();
    disk_.Reboot(loss);
  }

  VirtualDisk& disk() { return disk_; }
  const VirtualDisk& disk() const { return disk_; }

 private:
  // The system calls that change something: write, sync, and the end; or create, write, sync,
  // rename, sync of the folder, and the end; or, in a closed folder, create, write, sync, write,
  // sync, write over, sync, truncate, and the end.
  static constexpr std::uint64_t kCallsPerAppend = 3;
  static constexpr std::uint64_t kCallsPerReplace = 6;
  static constexpr std::uint64_t kCallsPerOverwrite = 9;

  VirtualDisk disk_;
  std::unique_ptr<transport::SnapshotFile> file_;
  std::deque<SnapshotOp> ops_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_NODE_DISK_H_
