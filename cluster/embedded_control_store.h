// EmbeddedControlStore: the ControlStore of one node, kept on a majority of its own drives as system records
// "doc/<name>".
//
// A document counts as written when a majority of all configured drives has it durably; any two majorities
// meet, so load() finds it again. Erased documents leave a tombstone until every drive has it, so that a
// stale drive cannot bring one back. A change that some drives took, but no majority is known to have, is in
// doubt: it is decided (written to a majority) before anything else is changed, and load() rolls forward the
// newest it sees. A drive applies system writes of one name in the order of the calls. Each load() starts
// with a generation document of its own, so that no revision is given out twice. A drive that was formatted
// anew holds kBehindRecord until it has been brought up to date: that it lacks a document says nothing, so it
// does not count for the majority that load() needs. Nor does one that was replaced while it was away. Where
// no majority is left, all that are left will do when each of the others is known to have lost all it held
// (README.md says why). Thread safe. Changes are made one at a time, under a lease of the lock service.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/document_codec.h"
#include "control/control_store.h"
#include "control/lock_service.h"
#include "disk/drive.h"
#include "runtime/clock.h"
#include "runtime/gate.h"

namespace ostraka::cluster {

// System record of a drive that does not know the documents yet; written when it is formatted anew.
inline constexpr std::string_view kBehindRecord = "doc-behind";

// The store's own document: a new one at each load().
inline constexpr std::string_view kGenerationDocument = "control/generation";

class EmbeddedControlStore final : public control::ControlStore {
 public:
  // drives: all configured drives of the node, also those that are away; they and the other arguments outlive
  // the store. `background` holds writes to slow drives, and is closed before the drives go.
  EmbeddedControlStore(Clock& clock, Gate& background, control::LockService& locks,
                       std::vector<disk::Drive*> drives);

  // Tells from a document which drives, by slot, were replaced by others; null: the document is not there.
  using ReplacedDrives = std::function<std::vector<bool>(const std::string* content)>;
  // Before load(): the document that says it.
  void set_replaced_drives(std::string document, ReplacedDrives replaced);

  // Tells which drives, by slot, have lost all they held, for certain: one that is only away must never be
  // among them. content: of the document above; nullopt: it is not there.
  using LostDrives = std::function<Task<std::vector<bool>>(Ctx ctx, std::optional<std::string> content)>;
  void set_lost_drives(LostDrives lost) { lost_drives_ = std::move(lost); }  // before load()

  // Reads the documents; before that, get() finds nothing and put() is unavailable. Errors: unavailable (no
  // majority answered, or what was found could not be rolled forward to one), unsupported_version. Call it
  // again after a failure.
  Task<Result<>> load(Ctx& ctx);
  bool loaded() const;
  std::size_t majority() const noexcept { return drives_.size() / 2 + 1; }  // drives that must answer
  // So many know every document together.
  std::size_t survivors_needed() const noexcept { return drives_.size() - majority() + 1; }
  // After load(): the drives that are online need not be a majority, since all the others have lost what they
  // held.
  Task<bool> others_are_lost(Ctx& ctx);
  // Brings a drive that was away to the state of the others.
  Task<Result<>> sync_drive(Ctx& ctx, disk::Drive& drive);

  control::DocumentPtr get(std::string_view name) const override;
  std::vector<control::DocumentPtr> list(std::string_view prefix) const override;
  Task<Result<control::DocumentPtr>> put(Ctx& ctx, std::string name, std::string content,
                                         std::optional<std::uint64_t> expected) override;
  Task<Result<>> erase(Ctx& ctx, std::string name, std::optional<std::uint64_t> expected) override;
  void watch(std::string prefix, Watcher watcher) override;

  // All documents as JSON: {"version": 1, "documents": [{"name": ..., "content": ...}]}. import_json puts
  // each of them, and leaves documents that the text does not name, and a placement table that is there.
  // Errors of import: malformed, unsupported_version, too_large, and those of put().
  std::string export_json() const;
  Task<Result<>> import_json(Ctx& ctx, std::string text);

 private:
  struct Entry {
    StoredDocument stored;
    control::DocumentPtr document;  // null when erased
  };
  struct Pending {
    std::string name;
    StoredDocument stored;
  };
  enum class Outcome : std::uint8_t { everywhere, majority, nowhere, doubtful };
  // What one drive holds.
  struct DriveDocuments {
    std::map<std::string, StoredDocument, std::less<>> documents;
    bool behind = false;  // it was formatted anew, and does not know them all
  };
  using Newest = std::map<std::string, StoredDocument, std::less<>>;

  Task<Result<control::DocumentPtr>> change(Ctx& ctx, std::string name, StoredDocument wanted,
                                            std::optional<std::uint64_t> expected);
  Task<Result<>> settle_pending(Ctx& ctx);
  Task<Result<>> decide(Ctx& ctx, std::string name, StoredDocument stored);  // write, apply, or leave pending
  Task<Outcome> write(Ctx& ctx, std::string name, const StoredDocument& stored);
  Task<Result<std::vector<std::optional<DriveDocuments>>>> read_all(Ctx& ctx);
  Task<Result<>> roll_forward(Ctx& ctx, const std::vector<std::optional<DriveDocuments>>& found,
                              Newest newest);
  Task<Result<>> align(Ctx& ctx, std::size_t slot);
  Task<> align_returned(Ctx& ctx);
  Task<> forget_all_erased(Ctx& ctx);
  Task<bool> rest_is_lost(Ctx& ctx, std::vector<bool> have, std::optional<std::string> content);
  std::optional<std::string> replaced_content() const;
  Result<> leave_out_replaced(std::vector<std::optional<DriveDocuments>>& found);
  static Newest newest_of(const std::vector<std::optional<DriveDocuments>>& found);
  Task<> forget(Ctx& ctx, std::string name);
  void apply(const std::string& name, StoredDocument stored);
  Newest snapshot() const;

  Clock& clock_;
  Gate& background_;
  control::LockService& locks_;
  const std::vector<disk::Drive*> drives_;
  std::string replaced_document_;
  ReplacedDrives replaced_drives_;
  LostDrives lost_drives_;

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::pair<std::string, Watcher>> watchers_;
  std::uint64_t last_revision_ = 0;
  bool loaded_ = false;

  // changed only under the lease
  std::optional<Pending> pending_;
  std::vector<bool> behind_;     // by slot: the drive missed a change
  std::vector<bool> replaced_;   // by slot: at the last load it was one that another has replaced
  bool survivors_only_ = false;  // the last load() had no majority, and did not need one
  std::optional<std::string> found_content_;  // of replaced_document_ at the last load
};

}  // namespace ostraka::cluster
