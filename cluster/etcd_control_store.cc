#include "cluster/etcd_control_store.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "cluster/etcd_document.h"
#include "cluster/limits.h"
#include "cluster/run_at.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

using control::Document;
using control::DocumentPtr;

namespace {

constexpr auto kImpatient = EtcdFollower::Patience::impatient;
constexpr std::string_view kStore = "store/";
constexpr std::string_view kIdentity = "identity";
constexpr std::string_view kErased = "erased";  // holds the mark of the last erase
constexpr std::string_view kDocuments = "doc/";

}  // namespace

// What has been tried to carry out one change.
struct EtcdControlStore::Try {
  std::string mark;
  std::uint64_t expected = 0;  // revision; 0: no document
  std::uint64_t loads = 0;     // of the follower, when it began
  bool doubted = false;        // an answer was lost
  TimePoint give_up{};
};

EtcdControlStore::EtcdControlStore(EtcdClient& client, EtcdFollower& follower, Random& random)
    : client_(client),
      follower_(follower),
      random_(random),
      prefix_(follower.prefix() + std::string(kStore)),
      documents_prefix_(prefix_ + std::string(kDocuments)) {
  follower_.add(kStore, *this);
}

EtcdControlStore::~EtcdControlStore() = default;

DocumentPtr EtcdControlStore::get(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = documents_.find(name);
  return found == documents_.end() ? nullptr : found->second;
}

std::vector<DocumentPtr> EtcdControlStore::list(std::string_view prefix) const {
  std::vector<DocumentPtr> out;
  const std::lock_guard lock(mutex_);
  for (auto at = documents_.lower_bound(prefix); at != documents_.end() && at->first.starts_with(prefix);
       ++at)
    out.push_back(at->second);
  return out;
}

void EtcdControlStore::watch(std::string prefix, Watcher watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.emplace_back(std::move(prefix), std::move(watcher));
}

std::string EtcdControlStore::identity() const {
  const std::lock_guard lock(mutex_);
  return identity_;
}

std::uint64_t EtcdControlStore::local_revision(std::string_view name) const {
  const DocumentPtr document = get(name);
  return document ? document->revision : 0;
}

Task<Result<>> EtcdControlStore::load(Ctx& ctx, std::optional<std::string> expected) {
  if (following_) co_return Result<>();
  expected_ = std::move(expected);
  CO_TRY_VOID(co_await follower_.load(ctx.deadline));
  if (identity().empty()) {
    CO_TRY_VOID(co_await found(ctx.deadline));
    CO_TRY_VOID(co_await follower_.load(ctx.deadline));
  }
  following_ = true;
  follower_.start();
  co_return Result<>();
}

Task<Result<bool>> EtcdControlStore::is_founded(TimePoint deadline) {
  EtcdRangeSpec spec;
  spec.keys.key = prefix_ + std::string(kIdentity);
  CO_TRY(identity, co_await client_.range(spec, deadline));
  co_return !identity.found.empty();
}

// Of several nodes that found it at once, one does.
Task<Result<>> EtcdControlStore::found(TimePoint deadline) {
  EtcdTxnSpec spec;
  EtcdCompare absent;
  absent.key = prefix_ + std::string(kIdentity);
  absent.of = EtcdCompare::Of::create_revision;
  EtcdPut put;
  put.key = absent.key;
  put.value = to_string(make_uuid(random_));
  spec.compare.push_back(std::move(absent));
  spec.puts.push_back(std::move(put));
  const auto done = co_await client_.txn(std::move(spec), deadline);
  if (!done)
    co_return fail(Errc::unavailable, "the control store could not be founded: " + done.error().detail);
  co_return Result<>();
}

Task<> EtcdControlStore::close() {
  co_await gate_.close();
}

Result<> EtcdControlStore::accept(std::span<const EtcdKeyValue> all) {
  std::string identity;
  bool documents = false;
  for (const EtcdKeyValue& entry : all) {
    const std::string_view key = std::string_view(entry.key).substr(prefix_.size());
    if (key == kIdentity) identity = entry.value;
    if (!key.starts_with(kDocuments)) continue;
    documents = true;
    const auto decoded = decode_etcd_document(key.substr(kDocuments.size()), entry.value);
    if (!decoded) return tl::unexpected<Error>(decoded.error());
  }
  const std::string wanted = expected_.value_or(this->identity());
  if (!wanted.empty() && identity != wanted) {
    return fail(
        Errc::corrupt,
        fmt::format("etcd at {} {} under {}, and the control store of this deployment is {}",
                    to_string(client_.config()),
                    identity.empty() ? "holds no control store" : "holds the control store " + identity,
                    prefix_, wanted));
  }
  if (identity.empty() && documents)
    return fail(Errc::corrupt, "the control store under " + prefix_ + " in etcd has lost its identity");
  const std::lock_guard lock(mutex_);
  identity_ = std::move(identity);
  return {};
}

void EtcdControlStore::changed(std::string_view key, EtcdEvent event) {
  if (key == kErased && !event.erased) saw_mark(event.now.value, event.now.mod_revision);
  newest_ = std::max(newest_, event.now.mod_revision);
  if (!key.starts_with(kDocuments)) return;
  const std::string name(key.substr(kDocuments.size()));
  if (event.erased) {
    apply(name, nullptr);
    return;
  }
  auto decoded = decode_etcd_document(name, event.now.value);
  if (!decoded) {
    log::error("control document left as it was known: {}", decoded.error().detail);
    return;
  }
  const std::uint64_t revision = event.now.mod_revision;
  saw_mark(decoded->mark, revision);
  apply(name, std::make_shared<const Document>(Document{name, std::move(decoded->content), revision}));
}

void EtcdControlStore::reached(std::uint64_t revision) {
  // Reading all anew tells of what is gone, but not since when.
  if (std::exchange(loads_, follower_.loads()) != follower_.loads()) newest_ = revision;
  if (newest_ > std::exchange(reported_, newest_) && on_revision_) on_revision_(newest_);
}

void EtcdControlStore::saw_mark(const std::string& mark, std::uint64_t revision) {
  const auto own = marks_.find(mark);
  if (own != marks_.end()) own->second = revision;
}

void EtcdControlStore::apply(const std::string& name, DocumentPtr now) {
  std::vector<Watcher> told;
  {
    const std::lock_guard lock(mutex_);
    if (now)
      documents_[name] = now;
    else
      documents_.erase(name);
    for (const auto& [prefix, watcher] : watchers_)
      if (name.starts_with(prefix)) told.push_back(watcher);
  }
  for (const Watcher& watcher : told) watcher(name, now);
}

Task<Result<DocumentPtr>> EtcdControlStore::put(Ctx& ctx, std::string name, std::string content,
                                                std::optional<std::uint64_t> expected) {
  if (name.empty() || name.size() > kMaxDocumentNameBytes || content.size() > kMaxDocumentBytes)
    co_return fail(Errc::too_large, "control document " + name);
  Change change;
  change.name = std::move(name);
  change.content = std::move(content);
  change.expected = expected;
  auto changing = this->change(std::move(change), ctx.deadline);
  co_return co_await run_at(gate_, client_.shard().executor(), std::move(changing));
}

Task<Result<>> EtcdControlStore::erase(Ctx& ctx, std::string name, std::optional<std::uint64_t> expected) {
  Change change;
  change.name = std::move(name);
  change.expected = expected;
  auto changing = this->change(std::move(change), ctx.deadline);
  CO_TRY_VOID(co_await run_at(gate_, client_.shard().executor(), std::move(changing)));
  co_return Result<>();
}

Task<EtcdControlStore::Answer> EtcdControlStore::change(Change change, TimePoint deadline) {
  if (!following_) co_return fail(Errc::unavailable, "the control store is not loaded");
  {
    const std::lock_guard lock(mutex_);
    if (change.content && documents_.size() >= kMaxDocuments && !documents_.contains(change.name))
      co_return fail(Errc::too_large, "too many control documents");
  }
  Try attempt;
  attempt.mark = fmt::format("{:016x}", random_u64(random_));
  attempt.expected = change.expected.value_or(local_revision(change.name));
  attempt.loads = follower_.loads();
  attempt.give_up = std::min(deadline, deadline_after(client_.shard().clock().now(), kEtcdPatience));
  marks_.emplace(attempt.mark, std::nullopt);
  Answer answer = co_await carry_out(change, attempt);
  marks_.erase(attempt.mark);
  co_return answer;
}

EtcdTxnSpec EtcdControlStore::transaction(const Change& change, const Try& attempt) const {
  EtcdTxnSpec spec;
  EtcdCompare same_store;
  same_store.key = prefix_ + std::string(kIdentity);
  same_store.of = EtcdCompare::Of::value;
  same_store.value = identity();
  EtcdCompare unchanged;
  unchanged.key = key_of(change.name);
  unchanged.revision = attempt.expected;
  spec.read_otherwise = {same_store.key, unchanged.key};
  if (change.content) {
    spec.puts.push_back({unchanged.key, encode_etcd_document(attempt.mark, *change.content)});
  } else if (attempt.expected != 0) {
    spec.erases.push_back(unchanged.key);
    spec.puts.push_back({prefix_ + std::string(kErased), attempt.mark});
  }
  if (!change.content) spec.read_otherwise.push_back(prefix_ + std::string(kErased));
  spec.compare = {std::move(same_store), std::move(unchanged)};
  return spec;
}

Task<EtcdControlStore::Answer> EtcdControlStore::carry_out(Change& change, Try& attempt) {
  Clock& clock = client_.shard().clock();
  for (;;) {
    if (const auto revision = marks_[attempt.mark]) co_return co_await written(change, *revision, attempt);
    if (follower_.closing())
      co_return fail(attempt.doubted ? Errc::in_doubt : Errc::closed, "the control store is closed");
    // What an earlier try did there, nobody can tell.
    if (!follower_.estranged().empty())
      co_return fail(attempt.doubted ? Errc::in_doubt : Errc::unavailable, follower_.estranged());
    EtcdTxnSpec spec = transaction(change, attempt);
    auto answer = co_await client_.txn(std::move(spec), attempt.give_up);
    if (answer && answer->succeeded) {
      if (!change.content && attempt.expected == 0) co_return DocumentPtr();  // there is none
      co_return co_await written(change, answer->header.revision, attempt);
    }
    if (answer) {
      const Result<> again = co_await after_refusal(change, attempt, std::move(*answer));
      if (!again) co_return tl::unexpected<Error>(again.error());
      continue;
    }
    attempt.doubted = attempt.doubted || answer.failed_with(Errc::in_doubt);
    if (!attempt.doubted) {
      // What etcd does not permit this server is no matter of who asked for the change.
      const Errc code = answer.failed_with(Errc::too_large) ? Errc::too_large : Errc::unavailable;
      co_return fail(code, answer.error().detail);
    }
    if (clock.now() >= attempt.give_up) {
      co_return fail(Errc::in_doubt, "whether control document " + change.name +
                                         " was changed is not known: " + answer.error().detail);
    }
    co_await sleep_for(clock, kEtcdRetry);
  }
}

// The document was not as expected: perhaps because an earlier try has changed it. Gives an error when that
// is that, and otherwise leads to another round.
Task<Result<>> EtcdControlStore::after_refusal(Change& change, Try& attempt, EtcdTxn answer) {
  std::string identity_now;
  std::uint64_t revision_now = 0;
  for (const EtcdKeyValue& entry : answer.found) {
    std::string mark;
    if (entry.key == key_of(change.name)) {
      revision_now = entry.mod_revision;
      const auto decoded = decode_etcd_document(change.name, entry.value);
      if (decoded && change.content) mark = decoded->mark;
    } else if (entry.key == prefix_ + std::string(kIdentity)) {
      identity_now = entry.value;
    } else {
      mark = entry.value;
    }
    if (mark == attempt.mark) marks_[mark] = entry.mod_revision;
  }
  if (identity_now != identity()) {
    co_return fail(
        attempt.doubted ? Errc::in_doubt : Errc::unavailable,
        "etcd at " + to_string(client_.config()) + " does not hold the control store that this server knows");
  }
  if (marks_[attempt.mark]) co_return Result<>();

  Clock& clock = client_.shard().clock();
  const std::function<bool()> caught_up = [this, &change, &attempt, revision_now] {
    const std::uint64_t here = local_revision(change.name);
    return marks_[attempt.mark] || (revision_now == 0 ? here == 0 : here >= revision_now);
  };
  if (attempt.doubted) {
    // The watch has told of all that led here, a change by an earlier try included.
    const bool certain = co_await follower_.wait(caught_up, attempt.give_up, kImpatient);
    if (marks_[attempt.mark]) co_return Result<>();
    // One that expected no document may still come when the document is erased again.
    if (!certain || follower_.loads() != attempt.loads || attempt.expected == 0) {
      co_return fail(Errc::in_doubt, "whether control document " + change.name + " was changed is not known");
    }
    attempt.doubted = false;  // no earlier try has been carried out, and none can be any more
  }
  if (!change.expected) {
    attempt.expected = revision_now;
    co_return Result<>();
  }
  // So that whoever tries again sees what was in the way.
  const TimePoint until = std::min(attempt.give_up, clock.now() + Duration(kEtcdEcho) * 2);
  co_await follower_.wait(caught_up, until, kImpatient);
  co_return fail(Errc::conflict, "control document " + change.name + " has changed");
}

Task<EtcdControlStore::Answer> EtcdControlStore::written(const Change& change, std::uint64_t revision,
                                                         const Try& attempt) {
  const std::function<bool()> told = [this, revision] { return follower_.revision() >= revision; };
  const bool seen = co_await follower_.wait(told, attempt.give_up, kImpatient);
  if (!seen)
    co_return fail(Errc::in_doubt,
                   "control document " + change.name + " was changed, but etcd does not tell of it");
  if (!change.content) co_return DocumentPtr();
  DocumentPtr now = get(change.name);
  if (!now || now->revision != revision)
    now = std::make_shared<const Document>(Document{change.name, *change.content, revision});
  co_return now;
}

}  // namespace ostraka::cluster
