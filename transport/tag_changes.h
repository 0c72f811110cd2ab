// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_TAG_CHANGES_H_
#define SERF_TRANSPORT_TAG_CHANGES_H_

// TagChanges: applies changes of a node's tags one after the other, because each may wait for the
// disk: the tags go to the file before the node has them. Internal to Driver. Threads: all calls on
// the io_context's thread.

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "serf/outbox.h"
#include "serf/tags.h"
#include "serf/transport/disk_queue.h"

namespace serf::transport {

class TagChanges {
 public:
  using Change = std::function<void(Tags&)>;
  // Writes the tags. Null: nothing writes them.
  using Save = std::function<absl::Status(const Tags&)>;
  using Done = absl::AnyInvocable<void(const Completion&)>;

  // What of the node they need: its tags, whether it could have others, and to set them. `owner`
  // owns this object: another thread may destroy it while the disk's answer is on its way.
  struct Node {
    std::function<std::weak_ptr<void>()> owner;
    std::function<Tags()> tags;
    std::function<absl::Status(const Tags&)> check;
    std::function<void(Tags, Done)> set;
  };

  // Changes that may wait for the disk: more than patient clients ask for.
  static constexpr std::size_t kWaitingMax = 256;

  // The disk and the node must outlive this object.
  TagChanges(DiskQueue& disk, Save save, Node node)
      : disk_(disk), save_(std::move(save)), node_(std::move(node)) {}

  // Edits the tags that all earlier changes left. `done` receives the node's completion or an
  // error: ResourceExhausted, or that of Save.
  void Add(Change change, Done done);

  // Stops writing, and returns the `done`s of the changes that wait, uncalled.
  std::deque<Done> Stop();

 private:
  struct Waiting {
    Change change;
    Done done;
  };

  static Completion Failed(absl::Status status) { return {RequestId(), std::move(status)}; }
  // Begins the first change and those after it, up to one that waits for the disk.
  void Begin();
  void End(const absl::Status& saved, Tags tags);

  DiskQueue& disk_;
  Save save_;
  const Node node_;
  std::deque<Waiting> waiting_;
  bool stopped_ = false;
};

inline void TagChanges::Add(Change change, Done done) {
  if (waiting_.size() >= kWaitingMax) {
    return done(Failed(absl::ResourceExhaustedError("too many changes of tags wait for the disk")));
  }
  waiting_.push_back({std::move(change), std::move(done)});
  if (waiting_.size() == 1) Begin();
}

inline std::deque<TagChanges::Done> TagChanges::Stop() {
  stopped_ = true;
  save_ = nullptr;
  std::deque<Done> rest;
  for (Waiting& waiting : std::exchange(waiting_, {})) rest.push_back(std::move(waiting.done));
  return rest;
}

inline void TagChanges::Begin() {
  while (!waiting_.empty()) {
    Tags tags = node_.tags();
    waiting_.front().change(tags);
    // Tags that the machine refuses must not be in the file at the next start.
    const absl::Status status = save_ != nullptr ? node_.check(tags) : absl::OkStatus();
    if (save_ == nullptr || !status.ok()) {
      End(status, std::move(tags));
      continue;
    }
    return disk_.Run([save = save_, tags] { return save(tags); },
                     [this, weak = node_.owner(), tags](const absl::Status& saved) {
                       const std::shared_ptr<void> owner = weak.lock();
                       if (owner == nullptr || stopped_) return;
                       End(saved, tags);
                       Begin();
                     });
  }
}

inline void TagChanges::End(const absl::Status& saved, Tags tags) {
  Done done = std::move(waiting_.front().done);
  waiting_.pop_front();
  if (!saved.ok()) return done(Failed(saved));
  node_.set(std::move(tags), std::move(done));
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_TAG_CHANGES_H_
