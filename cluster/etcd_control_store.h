// EtcdControlStore: the ControlStore of a cluster, kept in etcd.
//
// All documents are in memory, followed by a watch; reading them needs no etcd. A change is a transaction on
// the document's mod_revision, and done when the watch has told of it: so whoever made a change sees it, and
// watchers hear of all changes in order, once each. Each change carries a mark of its own, by which it is
// recognised when its answer was lost: it is then tried again, which is harmless since both tries expect the
// same revision and only one can find it, and decided by what lies there and what the watch told. With etcd
// away changes are unavailable and reading goes on.
//
// Keys and values: FORMAT.md. The identity, drawn at random when the store is founded, is compared by every
// change, so that none goes to another etcd or one that was emptied.
//
// Thread safe. Its own work runs on the client's shard; put() and erase() from others hop there.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/etcd_client.h"
#include "cluster/etcd_follower.h"
#include "control/control_store.h"
#include "runtime/gate.h"
#include "runtime/random.h"

namespace ostraka::cluster {

class EtcdControlStore final : public control::ControlStore, private EtcdFollower::Listener {
 public:
  // Registers itself with the follower; all arguments outlive it.
  EtcdControlStore(EtcdClient& client, EtcdFollower& follower, Random& random);
  ~EtcdControlStore() override;

  // On the client's shard. Lets the follower load and start; reads the documents, and founds the store where
  // there is none yet, unless `expected` says what its identity must be. Before that, get() finds nothing and
  // put() is unavailable. Errors: unavailable (call it again), corrupt (not the store that was expected),
  // unsupported_version, access_denied.
  Task<Result<>> load(Ctx& ctx, std::optional<std::string> expected);
  // Whether there is a store to load. Errors: those of EtcdClient::range.
  Task<Result<bool>> is_founded(TimePoint deadline);
  // On the client's shard, after the follower was closed: waits for changes under way.
  Task<> close();

  // After load(): text of a UUID.
  std::string identity() const;
  // All changes up to it are in memory, and watchers were told.
  std::uint64_t revision() const noexcept { return follower_.revision(); }
  // Is told on the client's shard of the newest revision that concerned documents, for
  // Membership::set_revision. Before load().
  void on_revision(std::function<void(std::uint64_t)> hook) { on_revision_ = std::move(hook); }

  control::DocumentPtr get(std::string_view name) const override;
  std::vector<control::DocumentPtr> list(std::string_view prefix) const override;
  Task<Result<control::DocumentPtr>> put(Ctx& ctx, std::string name, std::string content,
                                         std::optional<std::uint64_t> expected) override;
  Task<Result<>> erase(Ctx& ctx, std::string name, std::optional<std::uint64_t> expected) override;
  void watch(std::string prefix, Watcher watcher) override;

 private:
  using Answer = Result<control::DocumentPtr>;
  struct Change {
    std::string name;
    std::optional<std::string> content;  // nullopt: erase
    std::optional<std::uint64_t> expected;
  };
  struct Try;

  Result<> accept(std::span<const EtcdKeyValue> all) override;
  void changed(std::string_view key, EtcdEvent event) override;
  void reached(std::uint64_t revision) override;
  void saw_mark(const std::string& mark, std::uint64_t revision);
  void apply(const std::string& name, control::DocumentPtr now);

  Task<Result<>> found(TimePoint deadline);
  Task<Answer> change(Change change, TimePoint deadline);
  Task<Answer> carry_out(Change& change, Try& attempt);
  Task<Result<>> after_refusal(Change& change, Try& attempt, EtcdTxn answer);
  Task<Answer> written(const Change& change, std::uint64_t revision, const Try& attempt);
  EtcdTxnSpec transaction(const Change& change, const Try& attempt) const;
  std::uint64_t local_revision(std::string_view name) const;
  std::string key_of(std::string_view name) const { return documents_prefix_ + std::string(name); }

  EtcdClient& client_;
  EtcdFollower& follower_;
  Random& random_;
  const std::string prefix_;            // of all keys of the store
  const std::string documents_prefix_;  // of the documents among them
  Gate gate_;
  // on the client's shard
  bool following_ = false;
  std::function<void(std::uint64_t)> on_revision_;
  std::uint64_t newest_ = 0;  // revision that concerned documents
  std::uint64_t reported_ = 0;
  std::uint64_t loads_ = 0;  // of the follower, as last seen
  std::optional<std::string> expected_;
  std::map<std::string, std::optional<std::uint64_t>> marks_;  // of changes under way; the revision they got

  mutable std::mutex mutex_;  // guards what follows
  std::string identity_;
  std::map<std::string, control::DocumentPtr, std::less<>> documents_;
  std::vector<std::pair<std::string, Watcher>> watchers_;
};

}  // namespace ostraka::cluster
