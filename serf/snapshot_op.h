// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SNAPSHOT_OP_H_
#define SERF_SNAPSHOT_OP_H_

// SnapshotOp: what a driver must do to the snapshot file. The driver carries the operations out one
// after the other, and answers each with Serf::OnSnapshotDone(), in order, when it is on the disk
// or has failed. transport::Host does all that; only a driver of your own needs it.
//
//   for (const SnapshotOp& op : out.snapshot_ops()) disk.Queue(op.kind, op.text);

#include <cstdint>
#include <string>

namespace serf {

struct SnapshotOp {
  enum class Kind : std::uint8_t {
    // Append `text`, which is whole lines, or nothing. ResourceExhausted says that the disk is full
    // and that the driver keeps the rest of the text: it writes the rest first with the next
    // append, and drops it when a kReplace succeeds. After any other error it keeps nothing.
    kAppend,
    // Replace the whole file by `text`, at once: a reader finds the old file or the new one.
    kReplace,
  };
  Kind kind = Kind::kAppend;
  std::string text;
};

}  // namespace serf

#endif  // SERF_SNAPSHOT_OP_H_
