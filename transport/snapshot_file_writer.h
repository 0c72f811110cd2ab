#ifndef SERF_TRANSPORT_SNAPSHOT_FILE_WRITER_H_
#define SERF_TRANSPORT_SNAPSHOT_FILE_WRITER_H_

// SnapshotFileWriter: a SnapshotFile on a thread of its own, since a disk may take seconds for a
// sync, and the membership protocol has none to spare. Appends that gather meanwhile become one,
// with one sync.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "serf/snapshot_op.h"
#include "serf/transport/snapshot_file.h"

namespace serf::transport {

class SnapshotFileWriter {
 public:
  // Called on the writer's thread once for each op, in order.
  using OnDone = std::function<void(const absl::Status&)>;

  SnapshotFileWriter(std::unique_ptr<SnapshotFile> file, OnDone on_done)
      : file_(std::move(file)), on_done_(std::move(on_done)), thread_([this] { Work(); }) {}

  // Waits until what was submitted is done.
  ~SnapshotFileWriter() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  SnapshotFileWriter(const SnapshotFileWriter&) = delete;
  SnapshotFileWriter& operator=(const SnapshotFileWriter&) = delete;

  // Any thread; returns at once. Whoever submits bounds how many there are: Snapshot does.
  void Submit(SnapshotOp op) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ops_.push_back(std::move(op));
    }
    changed_.notify_one();
  }

 private:
  void Work() {
    for (;;) {
      std::deque<SnapshotOp> ops;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return ending_ || !ops_.empty(); });
        if (ops_.empty()) return;
        ops.swap(ops_);
      }
      while (!ops.empty()) WorkOff(ops);
    }
  }

  // The first op, with the appends that follow it if it is one.
  void WorkOff(std::deque<SnapshotOp>& ops) {
    constexpr auto kAppend = SnapshotOp::Kind::kAppend;
    SnapshotOp op = std::move(ops.front());
    ops.pop_front();
    std::size_t count = 1;
    for (; op.kind == kAppend && !ops.empty() && ops.front().kind == kAppend; ++count) {
      op.text += ops.front().text;
      ops.pop_front();
    }
    const absl::Status status = file_->Apply(op);
    for (; count > 0; --count) on_done_(status);
  }

  std::unique_ptr<SnapshotFile> file_;
  OnDone on_done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<SnapshotOp> ops_;
  bool ending_ = false;
  std::thread thread_;  // the last, since it uses the others
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_SNAPSHOT_FILE_WRITER_H_
