// BucketStore: the buckets, as documents "bucket/<name>" of the control store, and in memory by watch. A
// lookup copies one pointer. Document format: object/FORMAT.md, "Bucket document".
//
// Where there are several nodes, a bucket that is to be removed is marked first, which closes its gate on all
// of them, and it is listed once no write can be under way that does not go by the mark
// (control::WriteFence). Then it is removed, or the mark is. All of it is compare-and-put: a mark whose
// deletion has ended without a word, since its node died, is taken off by any node, which does no harm to one
// that goes on: it finds another revision than it expects.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/control_store.h"
#include "object/bucket_gate.h"
#include "object/object_layer.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/random.h"
#include "runtime/shard.h"

namespace ostraka::object {

// Whose deletion a bucket's document is marked with.
struct DeletionMark {
  std::string node;
  std::string attempt;  // 16 hexadecimal digits
  bool operator==(const DeletionMark&) const = default;
};

struct Bucket {
  BucketInfo info;
  std::uint64_t revision = 0;        // of its document
  std::shared_ptr<BucketGate> gate;  // one for each bucket id
  std::optional<DeletionMark> deleting = std::nullopt;
};
using BucketPtr = std::shared_ptr<const Bucket>;

std::string encode_bucket(const BucketInfo& info, const std::optional<DeletionMark>& deleting = {});
Result<BucketInfo> decode_bucket(std::string_view name,
                                 std::string_view document);  // corrupt, unsupported_version
// Of a document that decode_bucket() accepts. Errors: corrupt.
Result<std::optional<DeletionMark>> decode_deletion(std::string_view document);

// The other nodes; null: there are none. Outlives the store.
struct BucketCluster {
  control::Membership* membership = nullptr;
  control::WriteFence* fence = nullptr;
  std::string self = {};  // as in the membership
};

// Thread safe.
class BucketStore {
 public:
  // All outlive the store; and the store outlives all changes of the control store, which it watches.
  BucketStore(control::ControlStore& control, Clock& clock, Random& random, std::string region,
              BucketCluster cluster = {});
  // Takes marks off that were left behind; only where there are other nodes. close() before the control
  // store is closed.
  void start(Shard& shard);
  Task<> close();

  Result<BucketPtr> find(const BucketName& name) const;  // no_such_bucket
  std::vector<BucketInfo> list() const;                  // ascending by name
  // Waits a moment until the other nodes know it, too. Errors: invalid_argument (name, settings),
  // bucket_exists, too_large (too many buckets), and those of ControlStore::put.
  Task<Result<BucketInfo>> create(Ctx& ctx, BucketName name, std::string owner, std::string settings);
  // A deletion under way. The bucket is as it is marked.
  struct Removal {
    BucketPtr bucket;
    std::shared_ptr<const void> under_way;  // until this goes; or the node does
  };
  // First, with the bucket's gate closed here: afterwards nobody writes into it anywhere. Costs nothing where
  // there are no other nodes. Errors: conflict (another deletion, or another change), those of
  // WriteFence::wait_until_known and of ControlStore::put, but for in_doubt.
  Task<Result<Removal>> begin_removal(Ctx& ctx, BucketPtr bucket);
  // It is not removed, after all.
  Task<> give_up_removal(Ctx& ctx, BucketPtr marked);
  // Removes the document. Success also when it is gone already.
  Task<Result<>> remove(Ctx& ctx, BucketPtr marked);
  // Takes off all marks of deletions that are not under way any more.
  Task<> take_off_marks(Ctx& ctx);

 private:
  using Map = std::map<std::string, BucketPtr, std::less<>>;
  void changed(const std::string& document_name, const control::DocumentPtr& now);
  std::shared_ptr<const Map> snapshot() const;
  std::string attempt_id();
  bool is_under_way(const DeletionMark& mark) const;
  Task<Result<>> take_off(Ctx& ctx, BucketPtr marked);
  static Task<> take_off_regularly(BucketStore* self, Shard* shard);
  static Task<> stop(BucketStore* self);

  control::ControlStore& control_;
  Clock& clock_;
  Random& random_;
  const std::string region_;
  const BucketCluster cluster_;
  Shard* shard_ = nullptr;  // that it was started on
  bool stopping_ = false;   // belongs to that shard, as does wake_
  Event wake_;
  Gate gate_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Map> map_;  // replaced as a whole, never changed
  std::set<std::string> attempts_;  // of this node, under way
};

}  // namespace ostraka::object
