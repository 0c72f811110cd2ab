#include "serf/gossip/push_pull_state.h"

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

using wire::LamportTime;

// docs/protocol/serf.md 1.4.3, with empty rings.
TEST(PushPullStateTest, AFreshNode) {
  ByteVector out;
  AppendPushPullState(
      {LamportTime(1), LamportTime(1), LamportTime(1), {{"node-a", LamportTime(0)}}, {}},
      EventBuffer(), out);
  EXPECT_EQ(absl::BytesToHexString(AsText(out)),
            "0286aa4576656e744c54696d6501a64576656e747390a54c54696d6501ab4c6566744d656d6265727390aa"
            "51756572794c54696d6501ac5374617475734c54696d657381a66e6f64652d6100");
}

}  // namespace
}  // namespace serf
