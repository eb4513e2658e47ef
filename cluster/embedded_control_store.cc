#include "cluster/embedded_control_store.h"

#include "base/check.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "cluster/limits.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

using control::Document;
using control::DocumentPtr;

namespace {

constexpr std::string_view kRecordPrefix = "doc/";
constexpr std::string_view kAllRecords = "doc";  // and kBehindRecord
constexpr std::string_view kLeaseName = "control-store";

std::string record_name(std::string_view name) {
  return std::string(kRecordPrefix).append(name);
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Writes that go on after the call hold their own Ctx.
Task<Result<>> put_record(disk::Drive* drive, Ctx ctx, std::string name, std::string value) {
  fault_point("control.write_drive");
  co_return co_await drive->put_system(ctx, name, value);
}

Task<Result<std::vector<disk::Drive::SystemRecord>>> scan_records(disk::Drive* drive, Ctx ctx) {
  std::string prefix(kAllRecords);
  co_return co_await drive->scan_system(ctx, std::move(prefix), kMaxDocuments + 1);
}

// The drive did not begin to write. A lack of space shows only when it has.
bool certainly_not_written(const Error& error) noexcept {
  return error.code == Errc::unavailable || error.code == Errc::closed;
}

}  // namespace

EmbeddedControlStore::EmbeddedControlStore(Clock& clock, Gate& background, control::LockService& locks,
                                           std::vector<disk::Drive*> drives)
    : clock_(clock),
      background_(background),
      locks_(locks),
      drives_(std::move(drives)),
      behind_(drives_.size()),
      replaced_(drives_.size()) {
  CHECK(!drives_.empty());
}

DocumentPtr EmbeddedControlStore::get(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : found->second.document;
}

std::vector<DocumentPtr> EmbeddedControlStore::list(std::string_view prefix) const {
  std::vector<DocumentPtr> out;
  const std::lock_guard lock(mutex_);
  for (auto at = entries_.lower_bound(prefix); at != entries_.end() && starts_with(at->first, prefix); ++at) {
    if (at->second.document) out.push_back(at->second.document);
  }
  return out;
}

bool EmbeddedControlStore::loaded() const {
  const std::lock_guard lock(mutex_);
  return loaded_;
}

void EmbeddedControlStore::watch(std::string prefix, Watcher watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.emplace_back(std::move(prefix), std::move(watcher));
}

void EmbeddedControlStore::set_replaced_drives(std::string document, ReplacedDrives replaced) {
  replaced_document_ = std::move(document);
  replaced_drives_ = std::move(replaced);
}

EmbeddedControlStore::Newest EmbeddedControlStore::snapshot() const {
  Newest out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : entries_) out.emplace(name, entry.stored);
  return out;
}

Task<Result<DocumentPtr>> EmbeddedControlStore::put(Ctx& ctx, std::string name, std::string content,
                                                    std::optional<std::uint64_t> expected) {
  if (name.empty() || name.size() > kMaxDocumentNameBytes || content.size() > kMaxDocumentBytes)
    co_return fail(Errc::too_large, "control document " + name);
  StoredDocument wanted;
  wanted.content = std::move(content);
  co_return co_await change(ctx, std::move(name), std::move(wanted), expected);
}

Task<Result<>> EmbeddedControlStore::erase(Ctx& ctx, std::string name,
                                           std::optional<std::uint64_t> expected) {
  StoredDocument wanted;
  wanted.erased = true;
  CO_TRY_VOID(co_await change(ctx, std::move(name), std::move(wanted), expected));
  co_return Result<>{};
}

Task<Result<DocumentPtr>> EmbeddedControlStore::change(Ctx& ctx, std::string name, StoredDocument wanted,
                                                       std::optional<std::uint64_t> expected) {
  std::string lease_name(kLeaseName);
  CO_TRY(lease, co_await locks_.acquire(ctx, std::move(lease_name)));
  CO_TRY_VOID(co_await settle_pending(ctx));
  {
    const std::lock_guard lock(mutex_);
    if (!loaded_) co_return fail(Errc::unavailable, "the control store is not loaded");
    const auto found = entries_.find(name);
    const DocumentPtr current = found == entries_.end() ? nullptr : found->second.document;
    const std::uint64_t revision = current ? current->revision : 0;
    if (expected && *expected != revision)
      co_return fail(Errc::conflict, "control document " + name + " has changed");
    if (wanted.erased && !current) co_return DocumentPtr{};
    if (found == entries_.end() && entries_.size() >= kMaxDocuments)
      co_return fail(Errc::too_large, "too many control documents");
    wanted.revision = last_revision_ + 1;
  }
  co_await align_returned(ctx);
  CO_TRY_VOID(co_await decide(ctx, name, std::move(wanted)));
  co_return get(name);
}

Task<Result<>> EmbeddedControlStore::settle_pending(Ctx& ctx) {
  if (!pending_) co_return Result<>{};
  const Pending pending = *pending_;
  const auto decided = co_await decide(ctx, pending.name, pending.stored);
  if (!decided)
    co_return fail(Errc::unavailable, "an earlier change of " + pending.name + " is not decided yet");
  co_return Result<>{};
}

Task<Result<>> EmbeddedControlStore::decide(Ctx& ctx, std::string name, StoredDocument stored) {
  const bool again = pending_.has_value();
  fault_point("control.before_write");
  const Outcome outcome = co_await write(ctx, name, stored);
  if (outcome == Outcome::nowhere && !again)
    co_return fail(Errc::unavailable, "no drive took the change of control document " + name);
  if (outcome == Outcome::nowhere || outcome == Outcome::doubtful) {
    pending_ = Pending{std::move(name), std::move(stored)};
    co_return fail(Errc::in_doubt,
                   "fewer than a majority of the drives took control document " + pending_->name);
  }
  fault_point("control.written");
  pending_.reset();
  const bool erased = stored.erased;
  apply(name, std::move(stored));
  if (erased && outcome == Outcome::everywhere) co_await forget(ctx, name);
  co_return Result<>{};
}

// Everywhere: all configured drives have it durably. Nowhere: certainly none has it.
Task<EmbeddedControlStore::Outcome> EmbeddedControlStore::write(Ctx& ctx, std::string name,
                                                                const StoredDocument& stored) {
  const std::string value = encode_document(name, stored);
  const std::string record = record_name(name);
  auto fan = std::make_shared<FanOut<Result<>>>(drives_.size());
  std::size_t unsent = 0;
  for (std::size_t slot = 0; slot < drives_.size(); ++slot) {
    if (replaced_[slot] ||
        !fan->start(ctx.shard.executor(), background_, slot, put_record(drives_[slot], ctx, record, value)))
      ++unsent;
  }
  QuorumSpec spec;
  spec.need = majority();
  spec.grace = kDocumentGrace;
  spec.deadline = ctx.deadline;
  const auto written = [](const Result<>& written_there) { return written_there.has_value(); };
  co_await quorum(fan, clock_, spec, written);
  std::size_t have = 0, lack = unsent;
  std::vector<bool> took(drives_.size());
  for (std::size_t slot = 0; slot < drives_.size(); ++slot) {
    const auto& answer = fan->answers()[slot];
    const bool ok = answer && answer->has_value();
    took[slot] = ok;
    have += ok ? 1U : 0U;
    lack += answer && !ok && certainly_not_written(answer->error()) ? 1U : 0U;
    if (ok || behind_[slot]) continue;  // of a drive that is away, the first document says it all
    behind_[slot] = true;
    log::warn("control document not written drive={} document={} reason={}", to_string(drives_[slot]->id()),
              name, answer ? answer->error().detail : "no answer");
  }
  if (have == drives_.size()) co_return Outcome::everywhere;
  if (have >= majority()) co_return Outcome::majority;
  if (have >= survivors_needed()) {
    std::optional<std::string> content = replaced_content();
    const bool all_that_are_left = co_await rest_is_lost(ctx, std::move(took), std::move(content));
    if (all_that_are_left) co_return Outcome::majority;
  }
  co_return lack == drives_.size() ? Outcome::nowhere : Outcome::doubtful;
}

// A tombstone that every drive has is no longer needed. Losing this race to a crash leaves tombstones behind,
// which is harmless.
Task<> EmbeddedControlStore::forget(Ctx& ctx, std::string name) {
  bool all = true;
  const std::string record = record_name(name);
  for (disk::Drive* drive : drives_) {
    const auto erased = co_await drive->erase_system(ctx, record);
    fault_point("control.forgetting");
    all = all && erased.has_value();
  }
  if (!all) co_return;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found != entries_.end() && !found->second.document) entries_.erase(found);
}

void EmbeddedControlStore::apply(const std::string& name, StoredDocument stored) {
  DocumentPtr document;
  if (!stored.erased)
    document = std::make_shared<const Document>(Document{name, stored.content, stored.revision});
  std::vector<Watcher> told;
  {
    const std::lock_guard lock(mutex_);
    last_revision_ = std::max(last_revision_, stored.revision);
    Entry& entry = entries_[name];
    entry.stored = std::move(stored);
    entry.document = document;
    for (const auto& [prefix, watcher] : watchers_) {
      if (starts_with(name, prefix)) told.push_back(watcher);
    }
  }
  for (const Watcher& watcher : told) watcher(name, document);
}

Task<Result<std::vector<std::optional<EmbeddedControlStore::DriveDocuments>>>> EmbeddedControlStore::read_all(
    Ctx& ctx) {
  using Scan = Result<std::vector<disk::Drive::SystemRecord>>;
  auto fan = std::make_shared<FanOut<Scan>>(drives_.size());
  for (std::size_t slot = 0; slot < drives_.size(); ++slot)
    fan->start(ctx.shard.executor(), background_, slot, scan_records(drives_[slot], ctx));
  co_await fan->wait_all(clock_, ctx.deadline);
  std::vector<std::optional<DriveDocuments>> found(drives_.size());
  for (std::size_t slot = 0; slot < drives_.size(); ++slot) {
    const auto& answer = fan->answers()[slot];
    behind_[slot] = !answer || !answer->has_value();
    if (behind_[slot]) continue;
    found[slot].emplace();
    for (const auto& record : answer->value()) {
      if (record.name == kBehindRecord) found[slot]->behind = behind_[slot] = true;
      if (!starts_with(record.name, kRecordPrefix)) continue;
      const std::string_view name = std::string_view(record.name).substr(kRecordPrefix.size());
      auto decoded = decode_document(name, record.value);
      if (decoded.failed_with(Errc::unsupported_version))
        co_return tl::unexpected(std::move(decoded).error());
      if (decoded)
        found[slot]->documents.emplace(name, std::move(*decoded));
      else
        log::error("control document unreadable drive={} document={} reason={}",
                   to_string(drives_[slot]->id()), name, decoded.error().detail);
    }
  }
  CO_TRY_VOID(leave_out_replaced(found));
  std::size_t answered = 0;
  for (const auto& drive : found) answered += drive && !drive->behind ? 1U : 0U;
  survivors_only_ = false;
  if (answered >= survivors_needed() && answered < majority()) {
    std::vector<bool> have(drives_.size());
    for (std::size_t slot = 0; slot < drives_.size(); ++slot) have[slot] = found[slot].has_value();
    std::optional<std::string> content = found_content_;
    survivors_only_ = co_await rest_is_lost(ctx, std::move(have), std::move(content));
    if (survivors_only_)
      log::warn(
          "no majority of the drives is left, and the folders of the others are empty: what the {} of "
          "{} drives that are left know counts",
          answered, drives_.size());
  }
  if (answered < majority() && !survivors_only_) {
    co_return fail(Errc::unavailable, fmt::format("the control store needs {} of {} drives, and {} answered",
                                                  majority(), drives_.size(), answered));
  }
  co_return found;
}

EmbeddedControlStore::Newest EmbeddedControlStore::newest_of(
    const std::vector<std::optional<DriveDocuments>>& found) {
  Newest newest;
  for (const auto& drive : found) {
    if (!drive) continue;
    for (const auto& [name, stored] : drive->documents) {
      StoredDocument& known = newest[name];
      if (stored.revision > known.revision) known = stored;
    }
  }
  return newest;
}

// A majority without the replaced drive wrote that it is replaced, before the other took its place: so each
// majority that answers has heard of it.
Result<> EmbeddedControlStore::leave_out_replaced(std::vector<std::optional<DriveDocuments>>& found) {
  replaced_.assign(drives_.size(), false);
  found_content_.reset();
  if (!replaced_drives_) return {};
  const Newest newest = newest_of(found);
  const auto document = newest.find(replaced_document_);
  const bool known = document != newest.end() && !document->second.erased;
  if (known) found_content_ = document->second.content;
  const std::vector<bool> replaced = replaced_drives_(known ? &document->second.content : nullptr);
  for (std::size_t slot = 0; slot < found.size() && slot < replaced.size(); ++slot) {
    if (!replaced[slot] || !found[slot]) continue;
    found[slot].reset();
    behind_[slot] = replaced_[slot] = true;
  }
  return {};
}

Task<Result<>> EmbeddedControlStore::load(Ctx& ctx) {
  std::string lease_name(kLeaseName);
  CO_TRY(lease, co_await locks_.acquire(ctx, std::move(lease_name)));
  CO_TRY(found, co_await read_all(ctx));
  Newest newest = newest_of(found);
  std::uint64_t last = 0;
  for (const auto& [name, stored] : newest) last = std::max(last, stored.revision);
  CO_TRY_VOID(co_await roll_forward(ctx, found, newest));
  pending_.reset();
  // Two above: a former process may have left one change in doubt, one above all it knew, on drives that do
  // not answer now.
  StoredDocument generation;
  generation.revision = last + 2;
  generation.content = "{}";
  const std::string generation_name(kGenerationDocument);
  const Outcome outcome = co_await write(ctx, generation_name, generation);
  if (outcome == Outcome::nowhere || outcome == Outcome::doubtful)
    co_return fail(Errc::unavailable, "the control store cannot write to a majority of the drives");
  newest[generation_name] = generation;
  std::vector<std::pair<std::string, StoredDocument>> by_revision(newest.begin(), newest.end());
  std::sort(by_revision.begin(), by_revision.end(),
            [](const auto& a, const auto& b) { return a.second.revision < b.second.revision; });
  for (auto& [name, stored] : by_revision) apply(name, std::move(stored));
  {
    const std::lock_guard lock(mutex_);
    loaded_ = true;
  }
  co_await align_returned(ctx);
  co_await forget_all_erased(ctx);
  co_return Result<>{};
}

// Gives every answering drive what it lacks; each document must then be on a majority, or on all that are
// left.
Task<Result<>> EmbeddedControlStore::roll_forward(Ctx& ctx,
                                                  const std::vector<std::optional<DriveDocuments>>& found,
                                                  Newest newest) {
  std::size_t need = majority();
  if (survivors_only_)
    need = static_cast<std::size_t>(
        std::count_if(found.begin(), found.end(), [](const auto& drive) { return drive.has_value(); }));
  for (const auto& [name, stored] : newest) {
    std::size_t have = 0;
    const std::string record = record_name(name);
    std::string value;
    for (std::size_t slot = 0; slot < drives_.size(); ++slot) {
      if (!found[slot]) continue;
      const auto held = found[slot]->documents.find(name);
      if (held != found[slot]->documents.end() && held->second == stored) {
        ++have;
        continue;
      }
      if (value.empty()) value = encode_document(name, stored);
      const auto put = co_await drives_[slot]->put_system(ctx, record, value);
      if (put)
        ++have;
      else
        behind_[slot] = true;
    }
    if (have < need)
      co_return fail(Errc::unavailable,
                     "control document " + name + " could not be written to enough of the drives");
  }
  co_return Result<>{};
}

Task<Result<>> EmbeddedControlStore::sync_drive(Ctx& ctx, disk::Drive& drive) {
  std::string lease_name(kLeaseName);
  CO_TRY(lease, co_await locks_.acquire(ctx, std::move(lease_name)));
  if (!loaded()) co_return fail(Errc::unavailable, "the control store is not loaded");
  const auto at = std::find(drives_.begin(), drives_.end(), &drive);
  if (at == drives_.end()) co_return fail(Errc::invalid_argument, "not a drive of this control store");
  const auto slot = static_cast<std::size_t>(at - drives_.begin());
  replaced_[slot] = false;  // the right one has come
  CO_TRY_VOID(co_await align(ctx, slot));
  co_await forget_all_erased(ctx);
  co_return Result<>{};
}

// Tombstones are for drives that missed them: when there is none left, they go.
Task<> EmbeddedControlStore::forget_all_erased(Ctx& ctx) {
  if (pending_) co_return;
  for (std::size_t slot = 0; slot < drives_.size(); ++slot)
    if (behind_[slot] || !drives_[slot]->online()) co_return;
  std::vector<std::string> erased;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, entry] : entries_)
      if (!entry.document) erased.push_back(name);
  }
  for (std::size_t i = 0; i < erased.size(); ++i) {
    std::string name = erased[i];
    co_await forget(ctx, std::move(name));
  }
}

Task<> EmbeddedControlStore::align_returned(Ctx& ctx) {
  for (std::size_t slot = 0; slot < drives_.size(); ++slot) {
    if (!behind_[slot] || replaced_[slot] || !drives_[slot]->online()) continue;
    const auto aligned = co_await align(ctx, slot);
    if (!aligned)
      log::warn("control documents not brought up to date drive={} reason={}", to_string(drives_[slot]->id()),
                aligned.error().detail);
  }
}

// What the store holds is decided, so it replaces whatever the drive has, newer revisions (left in doubt by a
// former process) included.
Task<Result<>> EmbeddedControlStore::align(Ctx& ctx, std::size_t slot) {
  disk::Drive& drive = *drives_[slot];
  CO_TRY(records, co_await scan_records(&drive, ctx));
  Newest wanted = snapshot();
  bool marked = false;
  // The change in doubt is written by settle_pending().
  if (pending_) wanted.erase(pending_->name);
  for (const auto& record : records) {
    marked |= record.name == kBehindRecord;
    if (!starts_with(record.name, kRecordPrefix)) continue;
    const std::string_view name = std::string_view(record.name).substr(kRecordPrefix.size());
    if (pending_ && pending_->name == name) continue;
    const auto entry = wanted.find(name);
    if (entry == wanted.end()) {
      CO_TRY_VOID(co_await drive.erase_system(ctx, record.name));
      continue;
    }
    const auto decoded = decode_document(name, record.value);
    if (decoded && *decoded == entry->second) wanted.erase(entry);
  }
  for (const auto& [name, stored] : wanted) {
    std::string record = record_name(name);
    std::string value = encode_document(name, stored);
    CO_TRY_VOID(co_await drive.put_system(ctx, std::move(record), std::move(value)));
  }
  if (marked && !pending_) {
    std::string mark(kBehindRecord);
    CO_TRY_VOID(co_await drive.erase_system(ctx, std::move(mark)));
  }
  behind_[slot] = pending_.has_value();
  co_return Result<>{};
}

}  // namespace ostraka::cluster
