// Two members in one process: b joins a, which then asks b a question.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <iostream>

#include "serf/transport/agent.h"

boost::asio::awaitable<absl::Status> Run(boost::asio::io_context& io) {
  auto a = serf::Agent::Start(io, {.name = "a", .bind = "127.0.0.1:0"});
  auto b = serf::Agent::Start(io, {.name = "b", .tags = {{"role", "db"}}, .bind = "127.0.0.1:0"});
  if (!a.ok() || !b.ok()) co_return absl::UnavailableError("no free port");
  (*a)->OnMember([](serf::MemberEventKind kind, const serf::Member& member) {
    std::cout << serf::MemberEventName(kind) << ' ' << member.name << '\n';
  });
  (*b)->OnQuery([](const serf::QueryEvent&) { return "up 3 days"; });
  const auto joined = co_await (*b)->Join({(*a)->local().ToString()});
  if (!joined.ok()) co_return joined.status();
  auto query = co_await (*a)->SendQuery("uptime");
  if (!query.ok()) co_return query.status();
  const auto answer = co_await query->Next();  // nothing: the query has ended
  if (!answer) co_return absl::NotFoundError("no answer");
  std::cout << answer->from << ": " << answer->payload << '\n';
  co_return co_await (*b)->Leave();
}
int main() {
  boost::asio::io_context io;
  absl::Status status = absl::UnknownError("did not run");
  boost::asio::co_spawn(io, Run(io), [&](auto, absl::Status end) { status = end; });
  io.run();
  return status.ok() ? 0 : 1;
}
