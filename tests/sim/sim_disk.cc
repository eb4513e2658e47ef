#include "tests/sim/sim_disk.h"

#include <algorithm>
#include <functional>

namespace ostraka::sim {
namespace {

std::string page_of(const std::string& content, std::uint64_t page) {
  const std::size_t begin = static_cast<std::size_t>(page) * kPageBytes;
  return begin < content.size() ? content.substr(begin, kPageBytes) : std::string();
}

void put_page(std::string& content, std::uint64_t page, const std::string& bytes, SimRandom* torn) {
  const std::size_t begin = static_cast<std::size_t>(page) * kPageBytes;
  std::string full = bytes;
  full.resize(kPageBytes, '\0');
  for (std::size_t at = 0; at < kPageBytes && begin + at < content.size(); at += kSectorBytes) {
    if (torn != nullptr && torn->chance(0.5)) continue;
    const std::size_t count = std::min(kSectorBytes, content.size() - begin - at);
    content.replace(begin + at, count, full, at, count);
  }
}

void cut_file(Node& file, SimRandom& random, bool all_lost, Losses& losses) {
  for (const auto& [page, bytes] : file.lost) put_page(file.content, page, bytes, nullptr);
  losses.lied_pages += file.lost.size();
  for (const auto& [page, bytes] : file.dirty) {
    const std::uint64_t what = all_lost ? 0 : random.below(3);
    if (what == 0) put_page(file.content, page, bytes, nullptr);
    if (what == 1) put_page(file.content, page, bytes, &random);
    losses.pages += what == 0 ? 1 : 0;
    losses.torn_pages += what == 1 ? 1 : 0;
  }
  if (file.content.size() != file.durable_size && (all_lost || random.chance(0.5))) {
    file.content.resize(file.durable_size, '\0');
  }
  file.lost.clear();
  SimDisk::sync(file);
}

void walk(const std::shared_ptr<Node>& node, const std::function<void(const std::shared_ptr<Node>&)>& visit) {
  visit(node);
  for (const auto& [name, child] : node->names) walk(child, visit);
}

}  // namespace

SimDisk::SimDisk(std::uint64_t device_number)
    : device_(device_number), root_(std::make_shared<Node>(1, true)) {}

void SimDisk::write(Node& file, ByteSpan bytes, std::uint64_t offset) {
  if (bytes.empty()) return;
  const std::uint64_t end = offset + bytes.size();
  for (std::uint64_t page = offset / kPageBytes; page * kPageBytes < end; ++page) {
    if (file.dirty.contains(page)) continue;
    auto lost = file.lost.extract(page);
    file.dirty.emplace(page, lost.empty() ? page_of(file.content, page) : std::move(lost.mapped()));
  }
  if (file.content.size() < end) file.content.resize(end, '\0');
  file.content.replace(offset, bytes.size(), reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void SimDisk::sync(Node& file) {
  file.dirty.clear();
  file.durable_size = file.content.size();
}

void SimDisk::fail_sync(Node& file) {
  file.lost.merge(file.dirty);
  file.dirty.clear();
}

Losses SimDisk::cut_power(SimRandom& random, bool all_lost) {
  Losses losses;
  // Names first: what they no longer lead to is gone.
  walk(root_, [&](const std::shared_ptr<Node>& node) {
    if (!node->folder) return;
    if (node->names != node->durable_names) {
      std::map<std::string, std::shared_ptr<Node>> kept = node->durable_names;
      const auto decide = [&](const std::string& name) {
        const auto live = node->names.find(name);
        const auto durable = node->durable_names.find(name);
        const bool same = live != node->names.end() && durable != node->durable_names.end() &&
                          live->second == durable->second;
        if (same) return;
        if (all_lost || random.chance(0.5)) {
          ++losses.names;
          return;
        }
        if (live == node->names.end()) {
          kept.erase(name);
        } else {
          kept[name] = live->second;
        }
      };
      for (const auto& [name, child] : node->names) decide(name);
      for (const auto& [name, child] : node->durable_names)
        if (!node->names.contains(name)) decide(name);
      node->names = kept;
      node->durable_names = std::move(kept);
    }
  });
  walk(root_, [&](const std::shared_ptr<Node>& node) {
    node->locked_by = 0;
    if (!node->folder) cut_file(*node, random, all_lost, losses);
    if (node->index) {
      const std::size_t unsynced = node->index->lose_unsynced(0);
      const std::size_t lost = all_lost ? unsynced : random.below(unsynced + 1);
      losses.batches += lost;
      node->index->lose_unsynced(lost);
      node->index->keep_unsynced();
    }
  });
  return losses;
}

Losses SimDisk::drop_cache(SimRandom& random, double chance) {
  Losses losses;
  for (const auto& file : files()) {
    for (auto at = file->lost.begin(); at != file->lost.end();) {
      if (!random.chance(chance)) {
        ++at;
        continue;
      }
      put_page(file->content, at->first, at->second, nullptr);
      ++losses.lied_pages;
      at = file->lost.erase(at);
    }
  }
  return losses;
}

std::vector<std::shared_ptr<Node>> SimDisk::files() const {
  std::vector<std::shared_ptr<Node>> out;
  walk(root_, [&](const std::shared_ptr<Node>& node) {
    if (!node->folder) out.push_back(node);
  });
  return out;
}

std::vector<std::shared_ptr<disk::MemoryIndexStore>> SimDisk::indexes() const {
  std::vector<std::shared_ptr<disk::MemoryIndexStore>> out;
  walk(root_, [&](const std::shared_ptr<Node>& node) {
    if (node->index) out.push_back(node->index);
  });
  return out;
}

}  // namespace ostraka::sim
