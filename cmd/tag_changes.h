#ifndef SERF_CMD_TAG_CHANGES_H_
#define SERF_CMD_TAG_CHANGES_H_

// TagChanges: the one place where an agent's own tags change, for clients and reloads. One change
// at a time: each begins with what the one before left, so that none is lost, and is in the tags
// file before the node has it.
//
//   TagChanges changes(io, host);
//   changes.set_file("tags.json");
//   changes.Change({{"role", "web"}}, {"old"}, [](const absl::Status& status) { ... });

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/cmd/files/tags_file.h"
#include "serf/tags.h"
#include "serf/transport/background.h"
#include "serf/transport/host.h"

namespace serf::cmd {

// One thread, that of the io_context, which outlives it, as the host does.
class TagChanges {
 public:
  using Done = std::function<void(const absl::Status&)>;

  // Changes that wait for the disk: a client waits for the answer to its own, so that as many
  // clients would have to change tags at once.
  static constexpr std::size_t kWaitingMax = 1024;

  TagChanges(boost::asio::io_context& io, transport::Host& host)
      : io_(io), host_(host), background_(io) {}

  TagChanges(const TagChanges&) = delete;
  TagChanges& operator=(const TagChanges&) = delete;

  // Where tags are kept; empty: nowhere.
  void set_file(std::string path) { file_ = std::move(path); }

  // Removes and then sets. `done` is called when the cluster was told, or with why nothing has
  // changed: the tags are too large, the file cannot be written.
  void Change(Tags set, std::vector<std::string> remove, Done done);

  // Whether the tags would be refused for their size if they were changed so now.
  absl::Status Check(const Tags& set, const std::vector<std::string>& remove) const {
    return CheckSize(Changed(set, remove));
  }

 private:
  struct Pending {
    Tags set;
    std::vector<std::string> remove;
    Done done;
  };

  Tags Changed(const Tags& set, const std::vector<std::string>& remove) const;
  absl::Status CheckSize(const Tags& tags) const {
    return EncodeTags(tags, host_.serf().config().protocol_version).status();
  }
  // Starts the first that waits, unless one is under way.
  void Next();
  void OnWritten(Tags tags, const Done& done, const absl::Status& status);
  // The next one follows what was posted before.
  void NextLater();

  boost::asio::io_context& io_;
  transport::Host& host_;
  std::string file_;
  std::deque<Pending> waiting_;
  bool busy_ = false;
  transport::Background background_;
};

inline void TagChanges::Change(Tags set, std::vector<std::string> remove, Done done) {
  if (waiting_.size() >= kWaitingMax) {
    return done(absl::ResourceExhaustedError(
        absl::StrCat("too many changes of tags at once: ", kWaitingMax, " wait")));
  }
  waiting_.push_back({std::move(set), std::move(remove), std::move(done)});
  Next();
}

inline Tags TagChanges::Changed(const Tags& set, const std::vector<std::string>& remove) const {
  Tags tags = host_.serf().config().tags;
  for (const std::string& key : remove) tags.erase(key);
  for (const auto& [key, value] : set) tags[key] = value;
  return tags;
}

inline void TagChanges::Next() {
  if (busy_ || waiting_.empty()) return;
  busy_ = true;
  const Pending change = std::move(waiting_.front());
  waiting_.pop_front();
  Tags tags = Changed(change.set, change.remove);
  // Tags that cannot be set must not be found at the next start.
  absl::Status fits = CheckSize(tags);
  if (!fits.ok() || file_.empty()) return OnWritten(std::move(tags), change.done, fits);
  const bool started =
      background_.Run([path = file_, tags] { return WriteTagsFile(path, tags); },
                      [this, tags, done = change.done](const absl::Status& status) {
                        OnWritten(tags, done, status);
                      });
  if (!started) {
    OnWritten({}, change.done,
              absl::ResourceExhaustedError("Failed to write tags file: no thread is left"));
  }
}

inline void TagChanges::OnWritten(Tags tags, const Done& done, const absl::Status& status) {
  if (status.ok()) {
    host_.AsyncSetTags(std::move(tags), done);
  } else {
    done(status);
  }
  NextLater();
}

inline void TagChanges::NextLater() {
  boost::asio::post(io_, [this] {
    busy_ = false;
    Next();
  });
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TAG_CHANGES_H_
