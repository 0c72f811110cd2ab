#include "serf/cmd/descriptors.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <optional>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

// Runs `body` in a process of its own, because it changes state that a whole process shares.
int InChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(DescriptorsTest, ClosedStandardStreamsLeadToNothing) {
  for (int closed = 0; closed < 8; ++closed) {
    EXPECT_EQ(InChild([closed] {
                for (int fd = 0; fd < 3; ++fd) {
                  if ((closed & (1 << fd)) != 0) ::close(fd);
                }
                OpenStandardStreams();
                for (int fd = 0; fd < 3; ++fd) {
                  if (::fcntl(fd, F_GETFD) < 0) return 1 + fd;
                  // Children have them, too.
                  if ((closed & (1 << fd)) != 0 && ::fcntl(fd, F_GETFD) != 0) return 11 + fd;
                  if ((closed & (1 << fd)) != 0 && ::write(fd, "x", 1) != 1) return 21 + fd;
                }
                return 0;
              }),
              0)
        << closed;
  }
}

TEST(DescriptorsTest, TheSoftLimitIsRaisedAndTold) {
  EXPECT_EQ(InChild([] {
              rlimit limit{};
              ::getrlimit(RLIMIT_NOFILE, &limit);
              limit.rlim_cur = 100;
              limit.rlim_max = 200;
              ::setrlimit(RLIMIT_NOFILE, &limit);
              if (DescriptorLimit() != 100) return 1;
              const std::optional<rlimit> before = RaiseDescriptorLimit();
              if (!before || before->rlim_cur != 100 || before->rlim_max != 200) return 2;
              if (DescriptorLimit() != 200) return 3;
              return RaiseDescriptorLimit() ? 4 : 0;
            }),
            0);
}

TEST(DescriptorsTest, Shares) {
  const struct {
    std::size_t descriptors;
    std::size_t gossip;
    std::size_t rpc;
  } kCases[] = {
      {0, 4, 4},        {16, 4, 4},        {24, 4, 4},
      {64, 16, 16},     {256, 96, 96},     {1024, 480, 480},
      {1088, 512, 512}, {4096, 512, 3520}, {1 << 20, 512, (1 << 20) - 64 - 512},
  };
  for (const auto& c : kCases) {
    const ConnectionLimits limits = ShareDescriptors(c.descriptors, false);
    EXPECT_EQ(limits.gossip, c.gossip) << c.descriptors;
    EXPECT_EQ(limits.rpc, c.rpc) << c.descriptors;
    EXPECT_EQ(limits.http, 0U);
    // An HTTP port takes from the other clients, and leaves them most.
    const ConnectionLimits with_http = ShareDescriptors(c.descriptors, true);
    EXPECT_EQ(with_http.gossip, c.gossip);
    EXPECT_EQ(with_http.rpc + with_http.http, c.rpc);
    EXPECT_GE(with_http.http, 1U);
    EXPECT_LE(with_http.http, 64U);
    EXPECT_GE(with_http.rpc, 3 * with_http.http);
  }
}

}  // namespace
}  // namespace serf::cmd
