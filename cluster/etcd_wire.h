// The forms of etcd's JSON gateway (etcd 3.4 and later, prefix /v3), as texts to send and as what was read
// from an answer. Keys and values travel in base64, numbers as strings. Source: etcd's rpc.proto, and
// grpc-gateway's mapping to JSON. What does not parse is Errc::malformed; nothing is trusted to be there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ostraka::cluster {

struct EtcdHeader {
  std::uint64_t cluster_id = 0;
  std::uint64_t member_id = 0;
  std::uint64_t revision = 0;  // of the whole of etcd when it answered
};

struct EtcdKeyValue {
  std::string key;
  std::string value;
  std::uint64_t create_revision = 0;
  std::uint64_t mod_revision = 0;
  std::uint64_t lease = 0;  // 0: none
};

// All keys k with key <= k < end.
struct EtcdKeys {
  std::string key;
  std::string end;  // empty: `key` alone
};
EtcdKeys etcd_prefix(std::string prefix);  // not empty, and not all FF

struct EtcdRangeSpec {
  EtcdKeys keys;
  std::uint64_t limit = 0;     // 0: none
  std::uint64_t revision = 0;  // 0: the newest
};
struct EtcdRange {
  EtcdHeader header;
  std::vector<EtcdKeyValue> found;  // ascending by key
  bool more = false;                // the limit was reached
  std::size_t member = 0;           // of the client's endpoints, that answered
};

struct EtcdCompare {
  enum class Of : std::uint8_t { mod_revision, create_revision, value, lease };
  std::string key;
  Of of = Of::mod_revision;
  std::uint64_t revision = 0;  // 0: the key is not there
  std::string value;
  std::uint64_t lease = 0;
};
struct EtcdPut {
  std::string key;
  std::string value;
  std::uint64_t lease = 0;
};
// All or nothing: when every comparison holds, the puts and erases; otherwise the keys are read.
struct EtcdTxnSpec {
  std::vector<EtcdCompare> compare;
  std::vector<EtcdPut> puts;
  std::vector<std::string> erases;
  std::vector<std::string> read_otherwise;
};
struct EtcdTxn {
  EtcdHeader header;  // when it succeeded and changed something: the revision of the change
  bool succeeded = false;
  std::vector<EtcdKeyValue> found;  // of read_otherwise, those that are there
};

struct EtcdEvent {
  bool erased = false;
  EtcdKeyValue now;  // of an erased key: key and mod_revision
};
struct EtcdWatchAnswer {
  EtcdHeader header;
  bool created = false;
  bool canceled = false;
  bool fragment = false;               // more of the same answer follows
  std::uint64_t compact_revision = 0;  // canceled because what was asked for has been compacted
  std::string reason;                  // of canceled
  std::vector<EtcdEvent> events;       // ascending by revision
};

struct EtcdLease {
  std::uint64_t id = 0;
  std::uint64_t ttl_seconds = 0;  // 0: it has ended
};
struct EtcdStatus {
  std::uint64_t cluster_id = 0;
  std::string version;
  bool has_leader = false;
  bool leads = false;  // the member itself
};
struct EtcdFailure {
  int code = 2;  // of gRPC; 2: unknown
  std::string message;
};

std::string etcd_range_request(const EtcdRangeSpec& spec);
std::string etcd_txn_request(const EtcdTxnSpec& spec);
std::string etcd_watch_request(const EtcdKeys& keys, std::uint64_t start_revision);
std::string etcd_grant_request(std::uint64_t ttl_seconds);
std::string etcd_lease_request(std::uint64_t id);  // of keepalive and revoke
std::string etcd_login_request(std::string_view user, std::string_view password);

Result<EtcdRange> parse_etcd_range(std::string_view text);
Result<EtcdTxn> parse_etcd_txn(std::string_view text);
Result<EtcdLease> parse_etcd_lease(std::string_view text);       // of grant
Result<EtcdLease> parse_etcd_keep_alive(std::string_view text);  // malformed also: an error in place of one
Result<std::string> parse_etcd_login(std::string_view text);     // the token
Result<EtcdStatus> parse_etcd_status(std::string_view text);
// One message of the stream. An error that etcd sends in place of one: unavailable, with its message.
Result<EtcdWatchAnswer> parse_etcd_watch(std::string_view text);
// The body of an answer that is not 200. Anything is a failure; what does not parse has code 2.
EtcdFailure parse_etcd_failure(std::string_view text);

}  // namespace ostraka::cluster
