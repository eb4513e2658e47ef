#include "forgetful_store.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <set>

namespace forgetful {
namespace {

timespec now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return time;
}

bool chance(std::mt19937_64& random, double p) {
  return std::uniform_real_distribution<>(0, 1)(random) < p;
}

std::size_t between(std::mt19937_64& random, std::size_t low, std::size_t high) {
  return std::uniform_int_distribution<std::size_t>(low, high)(random);
}

}  // namespace

Store::Store() {
  auto root = std::make_unique<Node>();
  root->ino = kRoot;
  root->mode = S_IFDIR | 0755;
  root->changed = now();
  root->entries = 1;
  nodes_.emplace(kRoot, std::move(root));
}

Node* Store::find(Ino ino) {
  const auto at = nodes_.find(ino);
  return at == nodes_.end() ? nullptr : at->second.get();
}

Node* Store::lookup(Node& folder, std::string_view name) {
  const auto at = folder.now.find(std::string(name));
  return at == folder.now.end() ? nullptr : find(at->second);
}

int Store::make(Node& folder, std::string_view name, mode_t mode, Node*& made) {
  if (!folder.is_folder()) return ENOTDIR;
  if (lookup(folder, name) != nullptr) return EEXIST;
  auto node = std::make_unique<Node>();
  node->ino = ++last_;
  node->top = folder.ino == kRoot ? node->ino : folder.top;
  node->mode = mode;
  node->changed = now();
  made = node.get();
  nodes_.emplace(node->ino, std::move(node));
  change({{folder.ino, std::string(name), made->ino}});
  return 0;
}

int Store::remove(Node& folder, std::string_view name, bool is_folder) {
  Node* node = lookup(folder, name);
  if (node == nullptr) return ENOENT;
  if (node->is_folder() != is_folder) return is_folder ? ENOTDIR : EISDIR;
  if (!node->now.empty()) return ENOTEMPTY;
  change({{folder.ino, std::string(name), 0}});
  return 0;
}

int Store::rename(Node& from, std::string_view name, Node& to, std::string_view new_name, bool may_replace) {
  Node* node = lookup(from, name);
  if (node == nullptr) return ENOENT;
  Node* there = lookup(to, new_name);
  if (there == node) return 0;
  if (there != nullptr) {
    if (!may_replace) return EEXIST;
    if (there->is_folder() != node->is_folder()) return there->is_folder() ? EISDIR : ENOTDIR;
    if (!there->now.empty()) return ENOTEMPTY;
  }
  change({{from.ino, std::string(name), 0}, {to.ino, std::string(new_name), node->ino}});
  return 0;
}

std::string_view Store::read(const Node& file, std::size_t offset, std::size_t size) const {
  if (offset >= file.bytes.size()) return {};
  return {file.bytes.data() + offset, std::min(size, file.bytes.size() - offset)};
}

void Store::write(Node& file, std::size_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  for (std::size_t page = offset / kPageBytes; page <= (offset + bytes.size() - 1) / kPageBytes; ++page)
    touch_page(file, page);
  if (offset + bytes.size() > file.bytes.size()) file.bytes.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), file.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  file.changed = now();
}

void Store::resize(Node& file, std::size_t size) {
  for (std::size_t page = size / kPageBytes; page * kPageBytes < file.bytes.size(); ++page)
    touch_page(file, page);
  file.bytes.resize(size);
  file.changed = now();
}

// Keeps what the page is after a power cut, before it becomes something else now.
void Store::touch_page(Node& file, std::size_t page) {
  const std::size_t start = page * kPageBytes;
  const std::size_t end = std::min({start + kPageBytes, file.durable_size, file.bytes.size()});
  const auto [at, fresh] = file.before.try_emplace(page);
  if (fresh && start < end) at->second.assign(file.bytes.data() + start, end - start);
}

void Store::sync(Node& node) {
  if (!node.is_folder()) {
    node.before.clear();
    node.durable_size = node.bytes.size();
    return;
  }
  std::vector<Changes> left, done;
  for (Changes& changes : unsynced_) {
    const bool here = std::any_of(changes.begin(), changes.end(),
                                  [&](const Change& change) { return change.folder == node.ino; });
    (here ? done : left).push_back(std::move(changes));
  }
  unsynced_ = std::move(left);
  for (const Changes& changes : done) make_durable(changes);
}

void Store::close(Node& node) {
  --node.opened;
  release(node.ino);
}

void Store::bind(std::map<std::string, Ino>& entries, const Change& change) {
  const auto at = entries.find(change.name);
  const Ino before = at == entries.end() ? 0 : at->second;
  if (Node* node = change.node == 0 ? nullptr : find(change.node)) ++node->entries;
  if (change.node == 0) {
    if (at != entries.end()) entries.erase(at);
  } else {
    entries[change.name] = change.node;
  }
  if (before == 0) return;
  --find(before)->entries;
  release(before);
}

void Store::change(Changes changes) {
  for (const Change& change : changes) {
    if (change.node != 0) ++find(change.node)->entries;  // held by unsynced_, too
  }
  for (const Change& change : changes) {
    Node& folder = *find(change.folder);
    bind(folder.now, change);
    folder.changed = now();
  }
  unsynced_.push_back(std::move(changes));
}

void Store::make_durable(const Changes& changes) {
  for (const Change& change : changes) {
    if (Node* folder = find(change.folder)) bind(folder->durable, change);
  }
  for (const Change& change : changes) {
    if (change.node == 0) continue;
    --find(change.node)->entries;  // no longer held by unsynced_
    release(change.node);
  }
}

void Store::release(Ino ino) {
  const Node* node = find(ino);
  if (node == nullptr || node->opened > 0 || node->entries > 0) return;
  nodes_.erase(ino);
}

Losses Store::cut(std::mt19937_64& random, Forget how) {
  Losses losses;
  cut_entries(random, how, losses);
  for (auto& [ino, node] : nodes_) {
    node->opened = 0;
    if (node->is_folder()) {
      node->now = node->durable;
    } else {
      cut_file(*node, random, how, losses);
    }
  }
  sweep();
  return losses;
}

// By chance: those up to a moment, as a journal keeps them; or of each name that changed those up to a moment
// of its own. What renames bind together shares its moment.
void Store::cut_entries(std::mt19937_64& random, Forget how, Losses& losses) {
  using Name = std::pair<Ino, std::string>;
  std::map<Name, Name> parent;
  const std::function<Name(const Name&)> top = [&](const Name& name) {
    const Name up = parent.try_emplace(name, name).first->second;
    return up == name ? name : parent[name] = top(up);
  };
  for (const Changes& changes : unsynced_) {
    for (const Change& change : changes)
      parent[top({change.folder, change.name})] = top({changes.front().folder, changes.front().name});
  }
  const bool journal = chance(random, 0.5);
  std::map<Name, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < unsynced_.size(); ++i) {
    const Change& first = unsynced_[i].front();
    groups[journal ? Name() : top({first.folder, first.name})].push_back(i);
  }
  std::set<std::size_t> kept;
  for (const auto& [name, members] : groups) {
    const std::size_t count = how == Forget::all ? 0 : between(random, 0, members.size());
    kept.insert(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(count));
  }
  for (const std::size_t i : kept) make_durable(unsynced_[i]);
  losses.entries_kept = kept.size();
  losses.entries_lost = unsynced_.size() - kept.size();
  unsynced_.clear();
}

void Store::cut_file(Node& file, std::mt19937_64& random, Forget how, Losses& losses) {
  if (file.before.empty() && file.bytes.size() == file.durable_size) return;
  const std::size_t low = std::min(file.bytes.size(), file.durable_size);
  const std::size_t high = std::max(file.bytes.size(), file.durable_size);
  std::size_t size = file.durable_size;
  if (how == Forget::some && chance(random, 0.7))
    size = chance(random, 0.5) ? file.bytes.size() : between(random, low, high);
  file.bytes.resize(high);
  std::vector<std::size_t> pages;
  for (const auto& [page, durable] : file.before) pages.push_back(page);
  std::sort(pages.begin(), pages.end());  // the same seed, the same losses
  for (const std::size_t page : pages) {
    std::string& durable = file.before[page];
    std::size_t new_bytes = 0;  // at the start of the page
    if (how == Forget::some && !chance(random, 0.45)) {
      const bool torn = chance(random, 0.2);
      new_bytes = torn ? kSectorBytes * between(random, 1, kPageBytes / kSectorBytes - 1) : kPageBytes;
    }
    ++(new_bytes == 0 ? losses.pages_lost : new_bytes == kPageBytes ? losses.pages_kept : losses.pages_torn);
    durable.resize(kPageBytes);
    const std::size_t start = page * kPageBytes;
    for (std::size_t i = new_bytes; i < kPageBytes && start + i < high; ++i)
      file.bytes[start + i] = durable[i];
  }
  file.bytes.resize(size);
  file.durable_size = size;
  file.before.clear();
}

// Only what can be reached from the root is left.
void Store::sweep() {
  std::vector<Ino> open{kRoot};
  std::set<Ino> reached{kRoot};
  for (auto& [ino, node] : nodes_) node->entries = ino == kRoot ? 1 : 0;
  while (!open.empty()) {
    const Node& folder = *find(open.back());
    open.pop_back();
    for (const auto& [name, ino] : folder.now) {
      Node& node = *find(ino);
      node.entries += 2;  // now and durable
      if (reached.insert(ino).second && node.is_folder()) open.push_back(ino);
    }
  }
  std::erase_if(nodes_, [&](const auto& entry) { return !reached.contains(entry.first); });
}

}  // namespace forgetful
