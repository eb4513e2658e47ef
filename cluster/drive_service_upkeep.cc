// Calls on a drive as a whole, as DriveService answers them.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "cluster/drive_service_core.h"

namespace ostraka::cluster {

Task<Result<PeerAnswer>> serve_info(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::PlainRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  if (core.deps.probed_by) core.deps.probed_by(from);
  Result<disk::DriveInfo> info = co_await drive->info(ctx);
  co_return answered<pb::InfoAnswer>(*drive, info, put_info);
}

Task<Result<PeerAnswer>> serve_errands(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                       PeerCall call) {
  pb::PlainRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  co_return answered(*drive, Result<>());
}

Task<Result<PeerAnswer>> serve_groups(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::PlainRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  auto groups = co_await drive->groups(ctx);
  co_return answered<pb::GroupsAnswer>(*drive, groups, put_groups);
}

Task<Result<PeerAnswer>> serve_usage(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::PlainRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  auto usage = co_await drive->usage(ctx);
  co_return answered<pb::UsageAnswer>(*drive, usage, put_usage);
}

Task<Result<PeerAnswer>> serve_list(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::ListRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(spec, take_list(in));
  auto listing = drive->list(ctx, std::move(spec));
  Result<disk::ListPage> page = co_await std::move(listing);
  co_return answered<pb::PageAnswer>(*drive, page, put_list_page);
}

Task<Result<PeerAnswer>> serve_scan(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::ScanRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(spec, take_scan(in));
  auto scanning = drive->scan(ctx, std::move(spec));
  Result<disk::RowPage> page = co_await std::move(scanning);
  co_return answered<pb::PageAnswer>(*drive, page, put_row_page);
}

Task<Result<PeerAnswer>> serve_readmit(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                       PeerCall call) {
  pb::ReadmitRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  if (in.group() >= kPlacementGroups) co_return fail(Errc::malformed, "group");
  const auto group = static_cast<std::uint16_t>(in.group());
  const Result<> done = co_await drive->readmit(ctx, group, in.birth());
  co_return answered(*drive, done);
}

Task<Result<PeerAnswer>> serve_recount_usage(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                             PeerCall call) {
  pb::BucketRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  Result<bool> corrected = co_await drive->recount_usage(ctx, BucketId{in.bucket()});
  const auto put = [](pb::ChangedAnswer& out, bool said) { out.set_changed(said); };
  co_return answered<pb::ChangedAnswer>(*drive, corrected, put);
}

Task<Result<PeerAnswer>> serve_find_orphans(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                            PeerCall call) {
  pb::OrphansRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(spec, take_orphan_spec(in));
  Result<disk::OrphanReport> report = co_await drive->find_orphans(ctx, spec);
  co_return answered<pb::OrphansAnswer>(*drive, report, put_orphans);
}

Task<Result<PeerAnswer>> serve_put_system(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                          PeerCall call) {
  pb::SystemRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call, kMaxPeerHead));
  auto putting = drive->put_system(ctx, std::move(*in.mutable_name()), std::move(*in.mutable_value()));
  const Result<> done = co_await std::move(putting);
  co_return answered(*drive, done);
}

Task<Result<PeerAnswer>> serve_erase_system(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                            PeerCall call) {
  pb::SystemRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  auto erasing = drive->erase_system(ctx, std::move(*in.mutable_name()));
  const Result<> done = co_await std::move(erasing);
  co_return answered(*drive, done);
}

Task<Result<PeerAnswer>> serve_erase_system_if(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                               PeerCall call) {
  pb::SystemRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call, kMaxPeerHead));
  auto erasing = drive->erase_system_if(ctx, std::move(*in.mutable_name()), std::move(*in.mutable_value()));
  const Result<> done = co_await std::move(erasing);
  co_return answered(*drive, done);
}

Task<Result<PeerAnswer>> serve_scan_system(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                           PeerCall call) {
  pb::SystemScanRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  const std::size_t max = std::min<std::uint64_t>(in.max(), kSystemScanStep);
  auto scanning =
      drive->scan_system_after(ctx, std::move(*in.mutable_prefix()), std::move(*in.mutable_after()), max);
  auto records = co_await std::move(scanning);
  const bool may_go_on = max < in.max();
  const auto put = [max, may_go_on](pb::SystemAnswer& out, std::vector<disk::Drive::SystemRecord>& said) {
    std::size_t bytes = 0;
    bool all = true;
    for (disk::Drive::SystemRecord& record : said) {
      const std::size_t own = record.name.size() + record.value.size();
      if (bytes > 0 && bytes + own > kSystemScanBytes) {
        all = false;
        break;
      }
      bytes += own;
      pb::SystemAnswer::Record& next = *out.add_records();
      next.set_name(std::move(record.name));
      next.set_value(std::move(record.value));
    }
    out.set_more(!all || (may_go_on && said.size() == max));
  };
  co_return answered<pb::SystemAnswer>(*drive, records, put);
}

}  // namespace ostraka::cluster
