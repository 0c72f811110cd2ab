#ifndef SERF_SNAPSHOT_OP_H_
#define SERF_SNAPSHOT_OP_H_

// SnapshotOp: what a driver shall do to the snapshot file, one after the other. Each is to be
// answered by OnSnapshotDone, in order, when it is on the disk or has failed.

#include <cstdint>
#include <string>

namespace serf {

struct SnapshotOp {
  enum class Kind : std::uint8_t {
    kAppend,   // whole lines, to the end
    kReplace,  // the whole file, at once: whoever reads meanwhile finds the old or the new one
  };
  Kind kind = Kind::kAppend;
  std::string text;
};

}  // namespace serf

#endif  // SERF_SNAPSHOT_OP_H_
