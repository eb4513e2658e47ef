#include "cluster/move_message.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "cluster/drive_message.h"
#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

constexpr unsigned kPaceUnit = 1000;  // what a share of the time is told in

tl::unexpected<Error> malformed(const char* what) {
  return fail(Errc::malformed, std::string("move call: ") + what);
}

Result<disk::GroupPlace> take_place(std::uint32_t in) {
  if (in > static_cast<std::uint32_t>(disk::GroupPlace::arriving)) return malformed("a place of a group");
  return static_cast<disk::GroupPlace>(in);
}

void put_row(pb::MovedRow& out, disk::MovedRow& row) {
  out.set_row_key(std::move(row.row_key));
  out.set_row(std::move(row.row));
  for (disk::MovedRow::Inline& one : row.inline_values) {
    pb::MovedRow::Inline& value = *out.add_inline_values();
    put_version(*value.mutable_id(), one.id);
    value.set_value(std::move(one.value));
  }
}

disk::MovedRow take_row(pb::MovedRow& in) {
  disk::MovedRow row;
  row.row_key = std::move(*in.mutable_row_key());
  row.row = std::move(*in.mutable_row());
  for (pb::MovedRow::Inline& value : *in.mutable_inline_values()) {
    disk::MovedRow::Inline& one = row.inline_values.emplace_back();
    one.id = take_version(value.id());
    one.value = std::move(*value.mutable_value());
  }
  return row;
}

}  // namespace

void put_ticket(pb::MoveRequest& out, const disk::MoveTicket& ticket) {
  out.set_move(put_uuid(ticket.move));
  out.set_term(ticket.term);
  out.set_life(ticket.life);
}

Result<disk::MoveTicket> take_ticket(const pb::MoveRequest& in) {
  disk::MoveTicket ticket;
  TRY_VOID(take_uuid(in.move(), ticket.move));
  ticket.term = in.term();
  ticket.life = in.life();
  return ticket;
}

Result<std::vector<std::uint16_t>> take_move_groups(const pb::MoveRequest& in) {
  std::vector<std::uint16_t> groups;
  if (in.groups_size() > static_cast<int>(kPlacementGroups)) return malformed("number of groups");
  for (const std::uint32_t group : in.groups()) {
    if (group > 0xffff) return malformed("group");  // the drive says which there are
    groups.push_back(static_cast<std::uint16_t>(group));
  }
  return groups;
}

void put_states(pb::MoveStates& out, const std::vector<disk::GroupState>& states) {
  for (const disk::GroupState& state : states) {
    out.add_epochs(state.epoch);
    out.add_births(state.birth);
    out.add_refilling(state.refilling);
  }
}

Result<std::vector<disk::GroupState>> take_states(const pb::MoveStates& in) {
  const int count = in.epochs_size();
  if (count > static_cast<int>(kPlacementGroups) || in.births_size() != count || in.refilling_size() != count)
    return malformed("states of groups");
  std::vector<disk::GroupState> states;
  for (int i = 0; i < count; ++i) states.push_back({in.epochs(i), in.births(i), in.refilling(i)});
  return states;
}

void put_move_page(pb::MovePageAnswer& out, disk::MovePage& page) {
  for (disk::MovedRow& row : page.rows) put_row(*out.add_rows(), row);
  out.set_last(std::move(page.last));
  out.set_end(page.end);
  out.set_looked_at(page.looked_at);
  out.set_through(page.through);
}

Result<disk::MovePage> take_move_page(pb::MovePageAnswer& in) {
  disk::MovePage page;
  for (pb::MovedRow& row : *in.mutable_rows()) page.rows.push_back(take_row(row));
  page.last = std::move(*in.mutable_last());
  page.end = in.end();
  page.looked_at = in.looked_at();
  page.through = in.through();
  return page;
}

void put_import(pb::MoveImportRequest& out, disk::MoveImport&& rows) {
  out.set_step(rows.step);
  out.set_cursor(std::move(rows.cursor));
  for (disk::MovedRow& row : rows.rows) put_row(*out.add_rows(), row);
  for (const DataId& data : rows.without) out.add_without(put_uuid(data));
}

Result<disk::MoveImport> take_import(pb::MoveImportRequest& in) {
  disk::MoveImport out;
  out.step = in.step();
  out.cursor = std::move(*in.mutable_cursor());
  for (pb::MovedRow& row : *in.mutable_rows()) out.rows.push_back(take_row(row));
  for (const std::string& data : in.without()) TRY_VOID(take_uuid(data, out.without.emplace_back()));
  return out;
}

void put_move_status(pb::MoveStatusAnswer& out, const disk::MoveStatus& status) {
  out.set_term(status.term);
  out.set_life(status.life);
  out.set_other(status.other);
  out.set_step(status.step);
  out.set_cursor(status.cursor);
  for (const auto& [group, place] : status.groups) {
    out.add_groups(group);
    out.add_places(static_cast<std::uint32_t>(place));
  }
}

Result<disk::MoveStatus> take_move_status(pb::MoveStatusAnswer& in) {
  disk::MoveStatus status;
  status.term = in.term();
  status.life = in.life();
  status.other = in.other();
  status.step = in.step();
  status.cursor = std::move(*in.mutable_cursor());
  if (in.groups_size() != in.places_size()) return malformed("groups without their places");
  for (int i = 0; i < in.groups_size(); ++i) {
    const bool in_order = i == 0 || in.groups(i) > in.groups(i - 1);
    if (in.groups(i) >= kPlacementGroups || !in_order) return malformed("groups");
    TRY(place, take_place(in.places(i)));
    status.groups.emplace_back(static_cast<std::uint16_t>(in.groups(i)), place);
  }
  return status;
}

std::string put_pace_question(const PaceQuestion& question) {
  pb::MovePaceRequest out;
  out.set_work(question.work);
  out.set_resting(question.resting);
  return out.SerializeAsString();
}

Result<PaceQuestion> take_pace_question(std::string_view head) {
  pb::MovePaceRequest in;
  if (head.size() > kMaxCallHead || !in.ParseFromArray(head.data(), static_cast<int>(head.size())))
    return malformed("a question for the pace");
  return PaceQuestion{in.work(), in.resting()};
}

std::string put_pace_answer(double share) {
  pb::MovePaceAnswer out;
  out.set_share(static_cast<std::uint32_t>(std::clamp(share, 0.0, 1.0) * kPaceUnit));
  return out.SerializeAsString();
}

Result<double> take_pace_answer(std::string_view head) {
  pb::MovePaceAnswer in;
  if (head.size() > kMaxCallHead || !in.ParseFromArray(head.data(), static_cast<int>(head.size())) ||
      in.share() > kPaceUnit)
    return malformed("a pace");
  return in.share() / static_cast<double>(kPaceUnit);
}

void put_lacking(pb::MoveLackingAnswer& out, const std::vector<disk::ShardRef>& files) {
  for (const disk::ShardRef& file : files) put_shard(*out.add_files(), file);
}

Result<std::vector<disk::ShardRef>> take_lacking(const pb::MoveLackingAnswer& in) {
  std::vector<disk::ShardRef> files;
  for (const pb::Shard& file : in.files()) {
    TRY(ref, take_shard(file));
    files.push_back(ref);
  }
  return files;
}

}  // namespace ostraka::cluster
