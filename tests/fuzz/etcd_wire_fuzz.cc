// links: cluster
// Reads what etcd might answer: the first byte chooses the call. What is accepted keeps what later code
// relies on.
#include "base/check.h"
#include "cluster/etcd_document.h"
#include "cluster/etcd_membership.h"
#include "cluster/etcd_wire.h"
#include "cluster/store_mark.h"

namespace {

using namespace ostraka::cluster;  // NOLINT(google-build-using-namespace): this file is the program

void check_range(std::string_view text) {
  const auto range = parse_etcd_range(text);
  if (!range) return;
  std::string before;
  for (const EtcdKeyValue& entry : range->found) {
    CHECK(entry.key > before && entry.mod_revision > 0);
    before = entry.key;
  }
}

void check_watch(std::string_view text) {
  const auto answer = parse_etcd_watch(text);
  if (!answer) return;
  std::uint64_t before = 1;
  for (const EtcdEvent& event : answer->events) {
    CHECK(!event.now.key.empty() && event.now.mod_revision >= before);
    before = event.now.mod_revision;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'r':
      check_range(text);
      break;
    case 't':
      (void)parse_etcd_txn(text).has_value();
      break;
    case 'w':
      check_watch(text);
      break;
    case 'l':
      if (const auto lease = parse_etcd_lease(text)) CHECK(lease->id != 0);
      (void)parse_etcd_keep_alive(text).has_value();
      break;
    case 's':
      (void)parse_etcd_status(text).has_value();
      (void)parse_etcd_login(text).has_value();
      break;
    case 'd':
      if (const auto document = decode_etcd_document("x", text))
        CHECK(encode_etcd_document(document->mark, document->content) == text);
      break;
    case 'm':
      if (const auto member = decode_member("a", text)) {
        const std::string again = encode_member(*member);
        const auto same = decode_member("a", again);
        CHECK(same && encode_member(*same) == again);
      }
      break;
    case 'k':
      if (const auto mark = decode_store_mark(text))
        CHECK(decode_store_mark(encode_store_mark(*mark)).has_value());
      break;
    default:
      CHECK(!parse_etcd_failure(text).message.empty());
  }
  return 0;
}
