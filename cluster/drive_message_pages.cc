// Pages of listings and scans, as messages.
#include <algorithm>
#include <memory>
#include <utility>

#include "cluster/drive_message.h"
#include "cluster/limits.h"
#include "disk/limits.h"
#include "disk/row_key.h"

namespace ostraka::cluster {
namespace {

tl::unexpected<Error> malformed(const char* what) {
  return fail(Errc::malformed, std::string("drive call: ") + what);
}

// The bytes of a page, cut by its lengths.
class Cutter {
 public:
  explicit Cutter(const pb::PageAnswer& page) : page_(page), rest_(page.bytes()) {}
  bool at_end() const noexcept { return next_ == page_.lengths_size(); }
  // Nothing may be left over.
  bool all_used() const noexcept { return at_end() && rest_.empty(); }
  Result<std::string_view> cut() {
    if (at_end()) return malformed("a row without all of its parts");
    const std::size_t length = page_.lengths(next_++);
    if (length > rest_.size()) return malformed("a row longer than its page");
    const std::string_view out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return out;
  }

 private:
  const pb::PageAnswer& page_;
  std::string_view rest_;
  int next_ = 0;
};

std::string group_bytes(const GroupBits& groups) {
  std::string out(kPlacementGroups / 8, '\0');
  for (std::size_t group = 0; group < kPlacementGroups; ++group)
    if (groups[group])
      out[group / 8] = static_cast<char>(static_cast<unsigned char>(out[group / 8]) | 1U << group % 8);
  return out;
}

Result<GroupBits> take_group_bits(const std::string& in) {
  if (in.size() != kPlacementGroups / 8) return malformed("a set of groups");
  GroupBits out;
  for (std::size_t group = 0; group < kPlacementGroups; ++group)
    out[group] = (static_cast<unsigned char>(in[group / 8]) >> group % 8 & 1U) != 0;
  return out;
}

// Where the listing goes on. last: place of the last row, or of where it began.
Result<> take_next(const pb::PageAnswer& in, const disk::ListSpec& asked,
                   const std::pair<std::string_view, std::string_view>& last, disk::ListPage& page) {
  if (page.end) return {};
  if (in.next_key().empty()) {
    if (page.rows.empty() && asked.max_rows > 0) return malformed("a page of a listing that does not get on");
    return {};
  }
  const std::pair<std::string_view, std::string_view> next(in.next_key(), in.next_sub());
  if (next <= last || next.first.size() > kMaxKeyBytes || next.second.size() > disk::kMaxSubBytes ||
      !next.first.starts_with(asked.prefix))
    return malformed("a listing that goes on elsewhere");
  page.next_key = next.first;
  page.next_sub = next.second;
  return {};
}

void add_part(pb::PageAnswer& out, std::string_view part) {
  out.mutable_bytes()->append(part);
  out.add_lengths(static_cast<std::uint32_t>(part.size()));
}

}  // namespace

void put_list(pb::ListRequest& out, const disk::ListSpec& spec) {
  out.set_bucket(static_cast<std::uint64_t>(spec.bucket));
  out.set_space(static_cast<std::uint32_t>(spec.space));
  out.set_prefix(spec.prefix);
  out.set_start(spec.start);
  out.set_start_sub(spec.start_sub);
  out.set_after_start(spec.after_start);
  out.set_delimiter(spec.delimiter);
  out.set_max_rows(spec.max_rows);
  if (spec.groups) out.set_groups(group_bytes(*spec.groups));
  out.set_max_looked(spec.max_looked);
}

Result<disk::ListSpec> take_list(pb::ListRequest& in) {
  disk::ListSpec spec;
  spec.bucket = BucketId{in.bucket()};
  TRY(space, take_space(in.space()));
  spec.space = space;
  spec.prefix = std::move(*in.mutable_prefix());
  spec.start = std::move(*in.mutable_start());
  spec.start_sub = std::move(*in.mutable_start_sub());
  spec.after_start = in.after_start();
  spec.delimiter = std::move(*in.mutable_delimiter());
  spec.max_rows = std::min<std::uint64_t>(in.max_rows(), disk::kMaxListRows);
  if (!in.groups().empty()) {
    TRY(groups, take_group_bits(in.groups()));
    spec.groups = groups;
  }
  spec.max_looked = std::min<std::uint64_t>(in.max_looked(), disk::kMaxListLooked);
  return spec;
}

Result<> put_list_page(pb::PageAnswer& out, const disk::ListPage& page) {
  std::size_t bytes = 0;
  for (const disk::ListRow& row : page.rows) bytes += row.key.size() + row.sub.size() + row.row.size();
  if (bytes > kMaxPeerPage) return fail(Errc::too_large, "a page of a listing");
  out.mutable_bytes()->reserve(bytes);
  out.mutable_lengths()->Reserve(static_cast<int>(3 * page.rows.size()));
  for (const disk::ListRow& row : page.rows) {
    add_part(out, row.key);
    add_part(out, row.sub);
    add_part(out, row.row);
  }
  out.set_end(page.end);
  out.set_next_key(page.next_key);
  out.set_next_sub(page.next_sub);
  out.set_refilling(page.silent.any());
  if (page.silent.any()) out.set_silent(group_bytes(page.silent));
  out.set_by_groups(true);
  return {};
}

Result<disk::ListPage> take_list_page(pb::PageAnswer in, const disk::ListSpec& asked) {
  const auto kept = std::make_shared<const pb::PageAnswer>(std::move(in));
  disk::ListPage page;
  page.end = kept->end();
  page.storage = kept;
  if (kept->refilling() && kept->silent().empty()) page.silent.set();
  if (!kept->silent().empty()) {
    TRY(silent, take_group_bits(kept->silent()));
    page.silent = silent;
  }
  if (asked.groups) page.silent &= *asked.groups;
  // Behind a row of another group, a common prefix was skipped.
  if (asked.groups && !asked.delimiter.empty() && !kept->by_groups())
    return fail(Errc::unsupported_version, "a node of an older release does not list by groups");
  Cutter cutter(*kept);
  page.rows.reserve(
      std::min<std::size_t>(static_cast<std::size_t>(kept->lengths_size()) / 3, asked.max_rows));
  std::pair<std::string_view, std::string_view> last(asked.start, asked.start_sub);
  bool may_be_last = !asked.after_start;  // only the first row may be where the listing starts
  while (!cutter.at_end()) {
    disk::ListRow row;
    TRY(key, cutter.cut());
    TRY(sub, cutter.cut());
    TRY(bytes, cutter.cut());
    row.key = key;
    row.sub = sub;
    row.row = bytes;
    if (page.rows.size() == asked.max_rows) return malformed("more rows than asked for");
    if (row.key.size() > kMaxKeyBytes || row.sub.size() > disk::kMaxSubBytes)
      return malformed("length of a listed key");
    if (!row.key.starts_with(asked.prefix)) return malformed("a key outside of the listing");
    const std::pair<std::string_view, std::string_view> place(row.key, row.sub);
    if (place < last || (place == last && !may_be_last)) return malformed("rows out of order");
    last = place;
    may_be_last = false;
    page.rows.push_back(row);
  }
  if (!cutter.all_used()) return malformed("bytes behind the last row");
  TRY_VOID(take_next(*kept, asked, last, page));
  return page;
}

void put_scan(pb::ScanRequest& out, const disk::RowScanSpec& spec) {
  out.set_after(spec.after);
  out.set_until(spec.until);
  out.set_max_rows(spec.max_rows);
}

Result<disk::RowScanSpec> take_scan(pb::ScanRequest& in) {
  disk::RowScanSpec spec;
  spec.after = std::move(*in.mutable_after());
  spec.until = std::move(*in.mutable_until());
  spec.max_rows = std::min<std::uint64_t>(in.max_rows(), disk::kMaxListRows);
  return spec;
}

Result<> put_row_page(pb::PageAnswer& out, const disk::RowPage& page) {
  std::size_t bytes = 0;
  for (const disk::ScannedRow& row : page.rows)
    bytes += row.row_key.size() + row.key.size() + row.sub.size() + row.row.size();
  if (bytes > kMaxPeerPage) return fail(Errc::too_large, "a page of a scan");
  out.mutable_bytes()->reserve(bytes);
  out.mutable_lengths()->Reserve(static_cast<int>(4 * page.rows.size()));
  for (const disk::ScannedRow& row : page.rows) {
    add_part(out, row.row_key);
    add_part(out, row.key);
    add_part(out, row.sub);
    add_part(out, row.row);
  }
  out.set_nameless_rows(page.nameless_rows);
  out.set_last(page.last);
  out.set_end(page.end);
  return {};
}

Result<disk::RowPage> take_row_page(pb::PageAnswer in, const disk::RowScanSpec& asked) {
  const auto kept = std::make_shared<const pb::PageAnswer>(std::move(in));
  disk::RowPage page;
  page.nameless_rows = kept->nameless_rows();
  page.last = kept->last();
  page.end = kept->end();
  page.storage = kept;
  Cutter cutter(*kept);
  page.rows.reserve(
      std::min<std::size_t>(static_cast<std::size_t>(kept->lengths_size()) / 4, asked.max_rows));
  std::string_view last = asked.after;
  while (!cutter.at_end()) {
    disk::ScannedRow row;
    TRY(row_key, cutter.cut());
    TRY(key, cutter.cut());
    TRY(sub, cutter.cut());
    TRY(bytes, cutter.cut());
    if (page.rows.size() == asked.max_rows) return malformed("more rows than asked for");
    if (row_key <= last || (!asked.until.empty() && row_key >= asked.until))
      return malformed("rows out of order, or of another range");
    last = row_key;
    if (row_key.size() < disk::kRowKeyHead) return malformed("a row key");
    TRY(space, take_space(static_cast<std::uint8_t>(disk::space_of(row_key))));
    std::string unescaped;
    const auto rest = disk::split_row_key(row_key, unescaped);
    if (!rest || *rest != sub || unescaped != key) return malformed("a row key of another key");
    row.row_key = row_key;
    row.bucket = disk::bucket_of(row_key);
    row.space = space;
    row.key = key;
    row.sub = sub;
    row.row = bytes;
    page.rows.push_back(row);
  }
  if (!cutter.all_used()) return malformed("bytes behind the last row");
  // a scan that does not get on would never end
  if (page.last < last || (!page.end && page.last <= asked.after)) return malformed("where a page ends");
  return page;
}

}  // namespace ostraka::cluster
