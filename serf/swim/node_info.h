// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_NODE_INFO_H_
#define SERF_SWIM_NODE_INFO_H_

// NodeInfo: what a node says about itself, immutable and interned by content, so that the thousands
// of tables of a simulation share one copy (docs/architecture.md).
//
//   NodeInfoRef info = pool.Intern({name, endpoint, meta, versions});
//   info->name();
//
// The pool must outlive its references. One thread per pool.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/newtype.h"
#include "serf/base/rng.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

// A row of the member table. Stable from join to purge; then reused.
using MemberIndex = Newtype<struct MemberIndexTag, std::uint32_t>;

// As on the wire (docs/protocol/membership.md 4.1). Append-only.
enum class NodeState : std::uint8_t { kAlive = 0, kSuspect = 1, kDead = 2, kLeft = 3 };

class NodeInfoPool;

// The content of a NodeInfo, as views.
struct NodeInfoView {
  absl::string_view name;
  Endpoint endpoint;
  ByteView meta;
  wire::VersionVector versions;
};

// The hash by which name indexes find a node. It differs in every process, so that nobody can
// choose names that collide; nothing visible may depend on it.
inline std::size_t NodeNameHash(absl::string_view name) {
  return absl::Hash<absl::string_view>{}(name);
}

// A hash of the name that is the same in every process, version and platform (FNV-1a, then the
// finalizer of SplitMix64), because nodes must agree on the rings of GossipTargets. It does not
// resist attackers.
inline constexpr std::uint64_t StableNameHash(absl::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return MixBits(h);
}

// One allocation: this header, then the bytes of the name, then those of the metadata.
class NodeInfo {
 public:
  NodeInfo(const NodeInfo&) = delete;
  NodeInfo& operator=(const NodeInfo&) = delete;

  absl::string_view name() const { return {reinterpret_cast<const char*>(this + 1), name_size_}; }
  ByteView meta() const {
    return {reinterpret_cast<const std::uint8_t*>(this + 1) + name_size_, meta_size_};
  }
  const Endpoint& endpoint() const { return endpoint_; }
  const wire::VersionVector& versions() const { return versions_; }
  NodeInfoView view() const { return {name(), endpoint_, meta(), versions_}; }

  // NodeNameHash(name()).
  std::size_t hash() const { return name_hash_; }
  // StableNameHash(name()).
  std::uint64_t stable_hash() const { return stable_hash_; }

  bool SameContent(const NodeInfoView& other) const {
    return name() == other.name && endpoint_ == other.endpoint && versions_ == other.versions &&
           SameBytes(meta(), other.meta);
  }

  static bool SameBytes(ByteView a, ByteView b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
  }

 private:
  friend class NodeInfoPool;
  friend class NodeInfoRef;

  NodeInfo(NodeInfoPool* pool, const NodeInfoView& content, std::size_t content_hash)
      : pool_(pool),
        name_hash_(NodeNameHash(content.name)),
        stable_hash_(StableNameHash(content.name)),
        content_hash_(content_hash),
        name_size_(static_cast<std::uint32_t>(content.name.size())),
        meta_size_(static_cast<std::uint32_t>(content.meta.size())),
        endpoint_(content.endpoint),
        versions_(content.versions) {
    char* bytes = reinterpret_cast<char*>(this + 1);
    if (name_size_ > 0) std::memcpy(bytes, content.name.data(), name_size_);
    if (meta_size_ > 0) std::memcpy(bytes + name_size_, content.meta.data(), meta_size_);
  }
  ~NodeInfo() = default;

  NodeInfoPool* const pool_;
  std::uint32_t refs_ = 0;
  const std::size_t name_hash_;
  const std::uint64_t stable_hash_;
  const std::size_t content_hash_;
  const std::uint32_t name_size_;
  const std::uint32_t meta_size_;
  const Endpoint endpoint_;
  const wire::VersionVector versions_;
};

// A counted reference; eight bytes. Null when default-constructed or moved from.
class NodeInfoRef {
 public:
  NodeInfoRef() = default;
  NodeInfoRef(const NodeInfoRef& other) : info_(other.info_) {
    if (info_ != nullptr) ++info_->refs_;
  }
  NodeInfoRef(NodeInfoRef&& other) noexcept : info_(std::exchange(other.info_, nullptr)) {}
  NodeInfoRef& operator=(NodeInfoRef other) noexcept {
    std::swap(info_, other.info_);
    return *this;
  }
  ~NodeInfoRef() { reset(); }

  const NodeInfo* get() const { return info_; }
  const NodeInfo& operator*() const { return *info_; }
  const NodeInfo* operator->() const { return info_; }
  explicit operator bool() const { return info_ != nullptr; }

  void reset();

 private:
  friend class NodeInfoPool;
  explicit NodeInfoRef(NodeInfo* info) : info_(info) { ++info_->refs_; }

  NodeInfo* info_ = nullptr;
};

class NodeInfoPool {
 public:
  NodeInfoPool() = default;
  NodeInfoPool(const NodeInfoPool&) = delete;
  NodeInfoPool& operator=(const NodeInfoPool&) = delete;
  ~NodeInfoPool() { assert(infos_.empty() && "a NodeInfoRef outlives its pool"); }

  // The only NodeInfo of this content. Copies the bytes if the content is new; allocates nothing
  // otherwise.
  NodeInfoRef Intern(const NodeInfoView& content);

  // How many distinct contents are in use.
  std::size_t size() const { return infos_.size(); }

 private:
  friend class NodeInfoRef;

  struct Key {
    const NodeInfoView& content;
    std::size_t hash;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const NodeInfo* info) const { return info->content_hash_; }
    std::size_t operator()(const Key& key) const { return key.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const NodeInfo* a, const NodeInfo* b) const { return a == b; }
    bool operator()(const NodeInfo* a, const Key& b) const {
      return a->content_hash_ == b.hash && a->SameContent(b.content);
    }
    bool operator()(const Key& a, const NodeInfo* b) const { return (*this)(b, a); }
  };

  static std::size_t HashOf(const NodeInfoView& content) {
    return absl::HashOf(content.name, content.endpoint, AsText(content.meta), content.versions);
  }

  void Forget(NodeInfo* info) {
    infos_.erase(info);
    info->~NodeInfo();
    ::operator delete(info);
  }

  absl::flat_hash_set<NodeInfo*, Hash, Equal> infos_;
};

inline NodeInfoRef NodeInfoPool::Intern(const NodeInfoView& content) {
  const Key key{content, HashOf(content)};
  if (const auto it = infos_.find(key); it != infos_.end()) return NodeInfoRef(*it);
  void* memory = ::operator new(sizeof(NodeInfo) + content.name.size() + content.meta.size());
  NodeInfoRef ref(new (memory) NodeInfo(this, content, key.hash));
  infos_.insert(ref.info_);
  return ref;
}

inline void NodeInfoRef::reset() {
  NodeInfo* info = std::exchange(info_, nullptr);
  if (info != nullptr && --info->refs_ == 0) info->pool_->Forget(info);
}

}  // namespace serf::swim

#endif  // SERF_SWIM_NODE_INFO_H_
