// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_OWN_ANNOUNCEMENTS_H_
#define SERF_SWIM_OWN_ANNOUNCEMENTS_H_

// OwnAnnouncements: which queued messages about this node somebody waits for, its departure and its
// new metadata, and which of those are out. A message is out once it was sent as often as it shall,
// or was displaced by a later one. Without company nobody is to be told, and it is out at once.
//
//   queue.Enqueue(name, message, announcements.BeginUpdate(has_company));
//   for (auto token : queue.finished()) announcements.OnFinished(token);
//   while (announcements.TakeUpdate()) ...;   // once for each BeginUpdate()

#include <utility>

#include "serf/swim/broadcast_queue.h"

namespace serf::swim {

class OwnAnnouncements {
 public:
  using Token = BroadcastQueue::Token;

  // Returns the token of the departure, which is announced once; 0 without company.
  Token BeginLeave(bool has_company) {
    if (has_company) {
      leave_ = ++last_;
    } else {
      leave_is_out_ = true;
    }
    return leave_;
  }
  // Returns the token of new metadata; 0 without company. An earlier update is displaced by it.
  Token BeginUpdate(bool has_company) {
    if (update_ != 0) ++updates_out_;
    update_ = 0;
    if (has_company) {
      update_ = ++last_;
    } else {
      ++updates_out_;
    }
    return update_;
  }
  // A refutation carries the latest metadata too: who waits for those waits for this message now.
  // Returns its token; 0 if nobody waits.
  Token BeginRefutation() {
    if (update_ != 0) update_ = ++last_;
    return update_;
  }
  // The tokens of the messages that are under way; 0 if there is none.
  Token leave() const { return leave_; }
  Token update() const { return update_; }

  // A message left the queue. Tokens of displaced messages are no longer known and are ignored.
  void OnFinished(Token token) {
    if (token == 0) return;
    if (token == leave_) {
      leave_ = 0;
      leave_is_out_ = true;
    } else if (token == update_) {
      update_ = 0;
      ++updates_out_;
    }
  }
  // True once for each update that is out.
  bool TakeUpdate() {
    if (updates_out_ == 0) return false;
    --updates_out_;
    return true;
  }
  // True once, when the departure is out.
  bool TakeLeave() { return std::exchange(leave_is_out_, false); }

 private:
  Token last_ = 0;
  Token leave_ = 0;
  Token update_ = 0;
  bool leave_is_out_ = false;
  int updates_out_ = 0;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_OWN_ANNOUNCEMENTS_H_
