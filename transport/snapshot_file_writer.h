// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_SNAPSHOT_FILE_WRITER_H_
#define SERF_TRANSPORT_SNAPSHOT_FILE_WRITER_H_

// SnapshotFileWriter: applies the operations of a Snapshot to its file on the thread of a
// DiskQueue. Appends that gather while the disk is busy are written as one, with one sync.

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "serf/snapshot_op.h"
#include "serf/transport/disk_queue.h"
#include "serf/transport/snapshot_file.h"
#include "serf/transport/snapshot_file_system.h"

namespace serf::transport {

// Where a snapshot lies. Null members: the node has none.
struct SnapshotStore {
  std::unique_ptr<SnapshotFileSystem> system;
  std::unique_ptr<SnapshotFile> file;
};

class SnapshotFileWriter {
 public:
  // Reports each operation, in order, on the io_context's thread.
  using OnDone = std::function<void(const absl::Status&)>;

  // The queue must outlive the writer. Submitted operations are carried out even after the writer
  // is gone.
  SnapshotFileWriter(DiskQueue& disk, SnapshotStore store, OnDone on_done)
      : disk_(disk), core_(std::make_shared<Core>()) {
    core_->store = std::move(store);
    core_->on_done = std::move(on_done);
  }
  SnapshotFileWriter(const SnapshotFileWriter&) = delete;
  SnapshotFileWriter& operator=(const SnapshotFileWriter&) = delete;

  // The caller limits how many operations wait; Snapshot does.
  void Submit(SnapshotOp op) {
    {
      const std::lock_guard<std::mutex> lock(core_->mutex);
      core_->ops.push_back(std::move(op));
    }
    disk_.Run([core = core_] { return core->WorkOff(); },
              [core = core_](const std::vector<absl::Status>& answers) {
                for (const absl::Status& answer : answers) core->on_done(answer);
              });
  }

 private:
  struct Core {
    // Carries out all operations that wait, and returns a status for each.
    std::vector<absl::Status> WorkOff() {
      std::deque<SnapshotOp> waiting;
      {
        const std::lock_guard<std::mutex> lock(mutex);
        waiting.swap(ops);
      }
      std::vector<absl::Status> answers;
      while (!waiting.empty()) {
        const std::size_t count = TakeAppends(waiting);
        answers.insert(answers.end(), count, store.file->Apply(waiting.front()));
        waiting.pop_front();
      }
      return answers;
    }

    // Merges the first operation, if it is an append, with the appends that follow it. Returns how
    // many it took.
    static std::size_t TakeAppends(std::deque<SnapshotOp>& waiting) {
      constexpr auto kAppend = SnapshotOp::Kind::kAppend;
      std::size_t count = 1;
      if (waiting.front().kind != kAppend) return count;
      for (; count < waiting.size() && waiting[count].kind == kAppend; ++count) {
        waiting.front().text += waiting[count].text;
      }
      waiting.erase(waiting.begin() + 1, waiting.begin() + static_cast<std::ptrdiff_t>(count));
      return count;
    }

    SnapshotStore store;  // used by the thread only
    OnDone on_done;
    std::mutex mutex;
    std::deque<SnapshotOp> ops;
  };

  DiskQueue& disk_;
  const std::shared_ptr<Core> core_;
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_SNAPSHOT_FILE_WRITER_H_
