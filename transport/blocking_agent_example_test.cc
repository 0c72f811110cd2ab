// Two members in one process, without an io_context.
#include <iostream>

#include "serf/transport/blocking_agent.h"

int main() {
  auto a = serf::BlockingAgent::Start({.name = "a", .bind = "127.0.0.1:0"});
  if (!a.ok()) return 1;
  auto b = serf::BlockingAgent::Start({.name = "b", .bind = "127.0.0.1:0"}, [](serf::Agent& agent) {
    agent.OnUserEvent([](const serf::UserEvent& event) { std::cout << event.name << '\n'; });
  });
  if (!b.ok()) return 1;
  auto joined = (*b)->Join({(*a)->local().ToString()});
  if (!joined.ok()) std::cerr << joined.status() << '\n';
  auto members = (*b)->Members();
  if (!members.ok()) return 1;
  for (const serf::Member& member : *members) {
    std::cout << member.name << ' ' << member.endpoint.ToString() << '\n';
  }
  return (*a)->SendUserEvent("deploy", "v1.2.3").ok() && members->size() == 2 ? 0 : 1;
}
