// Two members in one process: b joins a, which then asks b a question.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <iostream>

#include "serf/transport/agent.h"

boost::asio::awaitable<void> Run(boost::asio::io_context& io) {
  auto a = serf::Agent::Start(io, {.name = "a", .bind = "127.0.0.1:0"}).value();
  auto b = serf::Agent::Start(io, {.name = "b", .bind = "127.0.0.1:0"}).value();
  a->OnMember([](serf::MemberEventKind kind, const serf::Member& member) {
    std::cout << serf::MemberEventName(kind) << ' ' << member.name << '\n';
  });
  b->OnQuery([](const serf::QueryEvent&) { return "up 3 days"; });
  (co_await b->Join({a->local().ToString()})).value();  // throws if nobody answers
  auto query = (co_await a->SendQuery("uptime")).value();
  const auto answer = co_await query.Next();  // nothing: the query has ended
  std::cout << answer.value().from << ": " << answer->payload << '\n';
}
int main() {
  boost::asio::io_context io;
  boost::asio::co_spawn(io, Run(io), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
  io.run();
}
