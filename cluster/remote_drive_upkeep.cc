// The calls of RemoteDrive that healer and scanner make, and those on system records.
#include <algorithm>
#include <utility>

#include "cluster/drive_ask.h"
#include "cluster/remote_drive.h"

namespace ostraka::cluster {

Task<Result<bool>> RemoteDrive::begin_anew(Ctx& ctx, disk::ObjectRef ref) {
  pb::KeyRequest request;
  put_key(*request.mutable_key(), ref);
  auto asking = ask<pb::ChangedAnswer>(link_, ctx, "drive.begin_anew", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return answer.changed();
}

Task<Result<disk::Verdict>> RemoteDrive::readmit_key(Ctx& ctx, disk::ObjectRef ref, std::uint64_t birth) {
  pb::ReadmitRequest request;
  put_key(*request.mutable_key(), ref);
  request.set_birth(birth);
  auto asking = ask<pb::VerdictAnswer>(link_, ctx, "drive.readmit_key", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_verdict(answer.verdict()));
}

Task<Result<>> RemoteDrive::readmit(Ctx& ctx, std::uint16_t group, std::uint64_t birth) {
  pb::ReadmitRequest request;
  request.set_group(group);
  request.set_birth(birth);
  auto asking = ask<pb::PlainAnswer>(link_, ctx, "drive.readmit", std::move(request));
  CO_TRY_VOID(co_await std::move(asking));
  co_return Result<>();
}

Task<Result<std::vector<disk::GroupState>>> RemoteDrive::groups(Ctx& ctx) {
  pb::PlainRequest request;
  auto asking = ask<pb::GroupsAnswer>(link_, ctx, "drive.groups", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_groups(answer));
}

Task<Result<disk::RowPage>> RemoteDrive::scan(Ctx& ctx, disk::RowScanSpec spec) {
  pb::ScanRequest request;
  put_scan(request, spec);
  auto asking = ask<pb::PageAnswer>(link_, ctx, "drive.scan", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_row_page(std::move(answer), spec));
}

Task<Result<std::vector<disk::BucketUsage>>> RemoteDrive::usage(Ctx& ctx) {
  pb::PlainRequest request;
  auto asking = ask<pb::UsageAnswer>(link_, ctx, "drive.usage", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_usage(answer));
}

Task<Result<bool>> RemoteDrive::recount_usage(Ctx& ctx, BucketId bucket) {
  pb::BucketRequest request;
  request.set_bucket(static_cast<std::uint64_t>(bucket));
  auto asking = ask<pb::ChangedAnswer>(link_, ctx, "drive.recount_usage", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return answer.changed();
}

Task<Result<disk::OrphanReport>> RemoteDrive::find_orphans(Ctx& ctx, disk::OrphanSpec spec) {
  pb::OrphansRequest request;
  put_orphan_spec(request, spec);
  auto asking = ask<pb::OrphansAnswer>(link_, ctx, "drive.find_orphans", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_orphans(answer, spec));
}

namespace {

Task<Result<>> change_system(std::shared_ptr<DriveLink> link, Ctx& ctx, std::string_view method,
                             std::string name, std::string value) {
  if (value.size() > kMaxPeerPage) co_return fail(Errc::too_large, "value of a system record");
  pb::SystemRequest request;
  request.set_name(std::move(name));
  request.set_value(std::move(value));
  auto asking = ask<pb::PlainAnswer>(std::move(link), ctx, method, std::move(request));
  CO_TRY_VOID(co_await std::move(asking));
  co_return Result<>();
}

}  // namespace

Task<Result<>> RemoteDrive::put_system(Ctx& ctx, std::string name, std::string value) {
  return change_system(link_, ctx, "drive.put_system", std::move(name), std::move(value));
}

Task<Result<>> RemoteDrive::erase_system(Ctx& ctx, std::string name) {
  return change_system(link_, ctx, "drive.erase_system", std::move(name), std::string());
}

Task<Result<>> RemoteDrive::erase_system_if(Ctx& ctx, std::string name, std::string value) {
  return change_system(link_, ctx, "drive.erase_system_if", std::move(name), std::move(value));
}

Task<Result<std::vector<disk::Drive::SystemRecord>>> RemoteDrive::scan_system(Ctx& ctx, std::string prefix,
                                                                              std::size_t max) {
  return scan_system_after(ctx, std::move(prefix), std::string(), max);
}

// In as many calls as it takes.
Task<Result<std::vector<disk::Drive::SystemRecord>>> RemoteDrive::scan_system_after(Ctx& ctx,
                                                                                    std::string prefix,
                                                                                    std::string after,
                                                                                    std::size_t max) {
  std::vector<SystemRecord> records;
  bool more = max > 0;
  while (more) {
    pb::SystemScanRequest request;
    request.set_prefix(prefix);
    request.set_after(after);
    request.set_max(max - records.size());
    auto asking = ask<pb::SystemAnswer>(link_, ctx, "drive.scan_system", std::move(request));
    CO_TRY(answer, co_await std::move(asking));
    for (pb::SystemAnswer::Record& record : *answer.mutable_records()) {
      const bool in_place = record.name().starts_with(prefix) && record.name() > after;
      if (records.size() == max || !in_place)
        co_return tl::unexpected<Error>(link_->garbage("system records that were not asked for"));
      after = record.name();
      records.push_back({std::move(*record.mutable_name()), std::move(*record.mutable_value())});
    }
    if (answer.more() && answer.records().empty())
      co_return tl::unexpected<Error>(link_->garbage("more system records, and none"));
    more = answer.more() && records.size() < max;
  }
  co_return records;
}

}  // namespace ostraka::cluster
