// The messages of drive calls (peer.proto) to and from the types of disk/. Encoding cannot fail; decoding
// trusts nothing: lengths, enum values and counts are looked at here, and what a caller asked for bounds what
// he is answered. Errors of take_*: malformed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "cluster/peer.pb.h"
#include "disk/drive.h"

namespace ostraka::cluster {

// Codes on the wire do not follow the order of Errc. What a newer node may say and this one does not know
// becomes closed: the call may have been carried out.
std::uint32_t wire_code(Errc code) noexcept;
Errc code_of(std::uint32_t wire) noexcept;

void put_status(pb::Status& out, const Error& error);
// The error in a status; detail is bounded and printable.
Result<> take_status(const pb::Status& in);

void put_version(pb::Version& out, VersionId id);
VersionId take_version(const pb::Version& in) noexcept;

void put_key(pb::Key& out, const disk::ObjectRef& ref);
Result<disk::ObjectRef> take_key(pb::Key& in);

void put_shard(pb::Shard& out, const disk::ShardRef& ref);
Result<disk::ShardRef> take_shard(const pb::Shard& in);

std::string put_uuid(const Uuid& id);
Result<> take_uuid(const std::string& in, Uuid& out);

Result<disk::KeySpace> take_space(std::uint32_t in);
std::uint32_t wire_verdict(disk::Verdict verdict) noexcept;
Result<disk::Verdict> take_verdict(std::uint32_t in);
std::uint32_t wire_mode(disk::CommitMode mode) noexcept;
Result<disk::CommitMode> take_mode(std::uint32_t in);

void put_read_spec(pb::ReadSpec& out, const disk::ReadSpec& spec);
disk::ReadSpec take_read_spec(const pb::ReadSpec& in) noexcept;

// Without the pin.
void put_held(pb::Held& out, const disk::Held& held);
Result<disk::Held> take_held(pb::Held& in);

// The inline shard is copied out of the request's slab.
void put_commit(pb::CommitRequest& out, const disk::ObjectRef& ref, const disk::CommitRequest& request);
Result<disk::CommitRequest> take_commit(pb::CommitRequest& in);

void put_stage(pb::StageRequest& out, const disk::StageSpec& spec);
Result<disk::StageSpec> take_stage(const pb::StageRequest& in);

void put_list(pb::ListRequest& out, const disk::ListSpec& spec);
Result<disk::ListSpec> take_list(pb::ListRequest& in);
// too_large: it does not fit into an answer.
Result<> put_list_page(pb::PageAnswer& out, const disk::ListPage& page);
// The page's rows lie in the message. malformed also where a row is not what the listing asked for, or out of
// order.
Result<disk::ListPage> take_list_page(pb::PageAnswer in, const disk::ListSpec& asked);

void put_scan(pb::ScanRequest& out, const disk::RowScanSpec& spec);
Result<disk::RowScanSpec> take_scan(pb::ScanRequest& in);
Result<> put_row_page(pb::PageAnswer& out, const disk::RowPage& page);
Result<disk::RowPage> take_row_page(pb::PageAnswer in, const disk::RowScanSpec& asked);

void put_groups(pb::GroupsAnswer& out, const std::vector<disk::GroupState>& groups);
Result<std::vector<disk::GroupState>> take_groups(const pb::GroupsAnswer& in);

void put_usage(pb::UsageAnswer& out, const std::vector<disk::BucketUsage>& usage);
Result<std::vector<disk::BucketUsage>> take_usage(const pb::UsageAnswer& in);

void put_health(pb::HealthAnswer& out, const disk::ShardHealth& health);
Result<disk::ShardHealth> take_health(const pb::HealthAnswer& in, const disk::ShardRef& asked);

void put_orphan_spec(pb::OrphansRequest& out, const disk::OrphanSpec& spec);
Result<disk::OrphanSpec> take_orphan_spec(const pb::OrphansRequest& in);
void put_orphans(pb::OrphansAnswer& out, const disk::OrphanReport& report);
Result<disk::OrphanReport> take_orphans(const pb::OrphansAnswer& in, const disk::OrphanSpec& asked);

void put_info(pb::InfoAnswer& out, const disk::DriveInfo& info);
// Without id, path and slot, which the caller knows better.
Result<disk::DriveInfo> take_info(pb::InfoAnswer& in);

// Whether so many blocks of these sizes may go in one body.
Result<> check_blocks(const google::protobuf::RepeatedField<std::uint32_t>& block_bytes);

}  // namespace ostraka::cluster
