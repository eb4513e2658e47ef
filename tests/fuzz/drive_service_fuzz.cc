// links: cluster
// What a peer sends to a node's drives: the first byte chooses the call, the second says how much of the rest
// is its body. Whatever comes, there is an answer or an error.
#include <array>

#include "base/check.h"
#include "cluster/drive_service.h"
#include "runtime/random.h"
#include "tests/unit/cluster/system_drive.h"

namespace {

constexpr std::array kMethods{
    "drive.read",       "drive.read_blocks",  "drive.append",          "drive.commit",
    "drive.open",       "drive.stage",        "drive.finish",          "drive.list",
    "drive.errands",    "drive.info",         "drive.fence",           "drive.withdraw",
    "drive.purge",      "drive.discard",      "drive.verify",          "drive.read_many",
    "drive.begin_anew", "drive.readmit_key",  "drive.groups",          "drive.usage",
    "drive.scan",       "drive.readmit",      "drive.recount_usage",   "drive.find_orphans",
    "drive.put_system", "drive.erase_system", "drive.erase_system_if", "drive.scan_system",
    "drive.move_leave", "drive.move_status",  "drive.move_rows",       "drive.move_import",
    "drive.move_own",   "drive.move_pace",
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ostraka;
  if (size < 2) return 0;
  cluster::PeerCall call;
  call.method = kMethods[data[0] % kMethods.size()];
  const bool is_commit = call.method == "drive.commit";
  const std::size_t body = std::min<std::size_t>(data[1], size - 2);
  cluster::SystemDrive drive(7);
  // which drive it is for, and the rest: fields that come later count
  call.head = std::string("\x0a\x10", 2) + std::string(16, 7);
  call.head.append(reinterpret_cast<const char*>(data) + 2, size - 2 - body);
  if (body > 0) {
    Buffer buffer = Buffer::on_heap(body);
    std::memcpy(buffer.data(), data + size - body, body);
    const ByteSpan bytes = buffer.span().first(body);
    call.body.push_back(Slice{std::move(buffer), bytes});
  }
  SystemClock clock;
  SystemRandom random;
  Shard shard(0, clock, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1});
  cluster::DriveService service({clock, random, shard}, {&drive});
  Ctx ctx{shard, kNoDeadline, "fuzz"};
  const cluster::NodeName from = "node1";
  const auto answer = run_to_end(shard, service.serve(ctx, from, std::move(call)));
  // but for a record of a newer format
  CHECK(answer || is_commit || !answer.failed_with(Errc::unsupported_version));
  run_to_end(shard, service.close());
  return 0;
}
