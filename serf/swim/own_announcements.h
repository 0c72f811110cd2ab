// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_OWN_ANNOUNCEMENTS_H_
#define SERF_SWIM_OWN_ANNOUNCEMENTS_H_

// OwnAnnouncements: queued messages about this node (its departure and its new metadata) whose end
// a caller waits for, and which of them are out. A message is out when it left in a wave (without
// waves: when it was sent for the last time), or when a later one replaced it. If no other node is
// alive, it is out at once.
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
  // Returns the token of new metadata, which replaces an earlier update; 0 without company.
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
  // A refutation carries the latest metadata too: the callers that wait for the metadata now wait
  // for this message. Returns its token; 0 if nobody waits.
  Token BeginRefutation() {
    if (update_ != 0) update_ = ++last_;
    return update_;
  }
  // The tokens of the messages under way; 0 if there is none.
  Token leave() const { return leave_; }
  Token update() const { return update_; }

  // A message left the queue. Tokens of replaced messages are unknown by now, and are ignored.
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
