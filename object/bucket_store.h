// BucketStore: the buckets, as documents "bucket/<name>" of the control store, and in memory by watch. A
// lookup copies one pointer. Document format: object/FORMAT.md, "Bucket document".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/control_store.h"
#include "object/bucket_gate.h"
#include "object/object_layer.h"
#include "runtime/random.h"

namespace ostraka::object {

struct Bucket {
  BucketInfo info;
  std::uint64_t revision = 0;        // of its document
  std::shared_ptr<BucketGate> gate;  // one for each bucket id
};
using BucketPtr = std::shared_ptr<const Bucket>;

std::string encode_bucket(const BucketInfo& info);
Result<BucketInfo> decode_bucket(std::string_view name,
                                 std::string_view document);  // corrupt, unsupported_version

// Thread safe.
class BucketStore {
 public:
  // All outlive the store; and the store outlives all changes of the control store, which it watches.
  BucketStore(control::ControlStore& control, Clock& clock, Random& random, std::string region);

  Result<BucketPtr> find(const BucketName& name) const;  // no_such_bucket
  std::vector<BucketInfo> list() const;                  // ascending by name
  // Errors: invalid_argument (name, settings), bucket_exists, too_large (too many buckets), and those of
  // ControlStore::put.
  Task<Result<BucketInfo>> create(Ctx& ctx, BucketName name, std::string owner, std::string settings);
  // Removes the document; the caller has closed the bucket's gate. Success also when it is gone already.
  Task<Result<>> remove(Ctx& ctx, BucketPtr bucket);

 private:
  using Map = std::map<std::string, BucketPtr, std::less<>>;
  void changed(const std::string& document_name, const control::DocumentPtr& now);
  std::shared_ptr<const Map> snapshot() const;

  control::ControlStore& control_;
  Clock& clock_;
  Random& random_;
  const std::string region_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Map> map_;  // replaced as a whole, never changed
};

}  // namespace ostraka::object
