// Inside of DriveService: what its calls share, and the calls.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/drive_message.h"
#include "cluster/drive_service.h"
#include "cluster/lease_table.h"
#include "cluster/limits.h"
#include "cluster/writer_table.h"
#include "disk/limits.h"
#include "runtime/event.h"
#include "runtime/gate.h"

namespace ostraka::cluster {

// A shard file that a peer reads.
struct OpenReader {
  disk::Drive* drive = nullptr;
  disk::ShardRef ref;
  std::shared_ptr<disk::ShardReader> reader;
};

struct DriveServiceCore {
  DriveServiceCore(const DriveServiceDeps& with, const std::vector<disk::Drive*>& served);

  // Reads a request: which drive it is for. Its errands are run.
  template <class Request>
  Result<disk::Drive*> begin(Request& in, const Ctx& ctx, const NodeName& from, const PeerCall& call,
                             std::size_t max_head = kMaxCallHead) {
    if (call.head.size() > max_head || !in.ParseFromString(call.head))
      return fail(Errc::malformed, call.method + ": a request that does not parse");
    DriveId id;
    TRY_VOID(take_uuid(in.drive(), id));
    const auto found = drives.find(id);
    if (found == drives.end()) return fail(Errc::wrong_drive, "no drive " + to_string(id) + " on this node");
    // it lay in the socket of a node that paused; a minute is what clocks may differ
    if (in.until_ms() != 0 && deps.clock.unix_ms() - disk::kMaxClockAheadMs > in.until_ms())
      return fail(Errc::deadline, call.method + ": arrived too late");
    if (in.has_errands()) run_errands(ctx, from, *found->second, *in.mutable_errands());
    return found->second;
  }
  void run_errands(const Ctx& ctx, const NodeName& from, disk::Drive& drive, pb::Errands& errands);
  static Task<> sweep_leases(DriveServiceCore* self);
  static Task<> stop(DriveServiceCore* self);

  const DriveServiceDeps deps;
  const std::unordered_map<DriveId, disk::Drive*, std::hash<Uuid>> drives;
  LeaseTable<std::shared_ptr<const void>> pins;
  LeaseTable<OpenReader> readers;
  WriterTable writers;
  // Not the slabs of the shards: those may all be held by requests that wait for another node, which waits
  // for us.
  BufferPool read_slabs{kMaxReadBody, kReadSlabs, kReadSlabsKept};
  bool stopping = false;  // belongs to the home shard, as does wake
  Event wake;
  Gate gate;
};

// What the drive said, put into the answer by put(answer, value); or its error.
template <class Answer, class T, class Put>
Result<PeerAnswer> answered(const disk::Drive& drive, Result<T>& said, Put put) {
  Answer out;
  if (said) {
    Result<> fits;
    if constexpr (std::is_same_v<decltype(put(out, *said)), Result<>>) {
      fits = put(out, *said);
    } else {
      put(out, *said);
    }
    if (fits && out.ByteSizeLong() > kMaxPeerHead) fits = fail(Errc::too_large, "an answer of a drive");
    if (!fits) {
      out.Clear();
      put_status(*out.mutable_status(), fits.error());
    }
  } else {
    put_status(*out.mutable_status(), said.error());
  }
  if (!drive.online()) out.mutable_status()->set_away(true);
  PeerAnswer answer;
  answer.head = out.SerializeAsString();
  return answer;
}
// The same where there is nothing to say but that it is done.
Result<PeerAnswer> answered(const disk::Drive& drive, const Result<>& said);

using ServeCall = Task<Result<PeerAnswer>>(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                           PeerCall call);

// keys
ServeCall serve_commit, serve_fence, serve_withdraw, serve_purge, serve_read, serve_read_many,
    serve_begin_anew, serve_readmit_key;
// shard files
ServeCall serve_stage, serve_append, serve_finish, serve_discard, serve_open, serve_read_blocks, serve_verify;
// moves of groups
ServeCall serve_move_leave, serve_move_arrive, serve_move_status, serve_move_rows, serve_move_changes,
    serve_move_forget, serve_move_seal, serve_move_take_back, serve_move_import, serve_move_own,
    serve_move_drop, serve_move_pace;
// the drive as a whole
ServeCall serve_info, serve_errands, serve_groups, serve_usage, serve_list, serve_scan, serve_readmit,
    serve_recount_usage, serve_find_orphans, serve_put_system, serve_erase_system, serve_erase_system_if,
    serve_scan_system;

}  // namespace ostraka::cluster
