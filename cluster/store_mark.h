// The mark on a drive that the documents of its deployment are kept in etcd, so that a server that is started
// without it, or with another, does not take what it finds for all there is.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ostraka::cluster {

inline constexpr std::string_view kStoreMarkRecord = "store-mark";  // system record

struct StoreMark {
  std::string cluster;   // the store's name in etcd
  std::string identity;  // EtcdControlStore::identity()
  bool operator==(const StoreMark&) const = default;
};
std::string encode_store_mark(const StoreMark& mark);
Result<StoreMark> decode_store_mark(std::string_view text);  // errors: malformed, unsupported_version

}  // namespace ostraka::cluster
