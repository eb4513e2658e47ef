// A tree of files in memory that remembers what of it was synced, so that a power cut can take the rest away.
//
// As hard as a file system may be: the pages of a file are durable after a sync of the file and its entry
// after a sync of its folder, neither by the other. A rename is atomic, whatever else is lost.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace forgetful {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kSectorBytes = 512;  // of a page that is torn, some sectors are new and the rest is old

using Ino = std::uint64_t;
constexpr Ino kRoot = 1;

struct Node {
  Ino ino = 0;
  Ino top = 0;  // the entry of the root in which it was made: its drive
  mode_t mode = 0;
  timespec changed{};
  unsigned opened = 0;
  unsigned entries = 0;  // that name it: seen now, durable, or on the way from one to the other

  // A file. A page that is not in `before` is the same now and after a power cut.
  std::vector<char> bytes;
  std::size_t durable_size = 0;
  std::unordered_map<std::size_t, std::string> before;  // page -> its durable bytes; none past durable_size

  // A folder.
  std::map<std::string, Ino> now, durable;

  bool is_folder() const { return S_ISDIR(mode); }
};

enum class Forget {
  all,   // whatever was not synced
  some,  // each page and each change of an entry by chance; pages may be torn, sizes anything in between
};

struct Losses {
  std::size_t pages_lost = 0, pages_kept = 0, pages_torn = 0;
  std::size_t entries_lost = 0, entries_kept = 0;
};

// Errors are errno values, 0 is success. One thread.
class Store {
 public:
  Store();

  Node* find(Ino ino);  // nullptr: no such node (any more)
  Node* lookup(Node& folder, std::string_view name);
  int make(Node& folder, std::string_view name, mode_t mode, Node*& made);
  int remove(Node& folder, std::string_view name, bool is_folder);
  int rename(Node& from, std::string_view name, Node& to, std::string_view new_name, bool may_replace);

  std::string_view read(const Node& file, std::size_t offset, std::size_t size) const;
  void write(Node& file, std::size_t offset, std::string_view bytes);
  void resize(Node& file, std::size_t size);

  // What the node holds is durable from here on: the pages and the size of a file, the entries of a folder.
  void sync(Node& node);
  void open(Node& node) { ++node.opened; }
  void close(Node& node);

  // The power goes and comes back. Nothing is open afterwards.
  Losses cut(std::mt19937_64& random, Forget how);

 private:
  // What one call changed; all of it lasts, or none.
  struct Change {
    Ino folder;
    std::string name;
    Ino node;  // 0: no entry any more
  };
  using Changes = std::vector<Change>;

  void change(Changes changes);
  void bind(std::map<std::string, Ino>& entries, const Change& change);
  void make_durable(const Changes& changes);
  void release(Ino ino);
  void touch_page(Node& file, std::size_t page);
  void cut_entries(std::mt19937_64& random, Forget how, Losses& losses);
  void cut_file(Node& file, std::mt19937_64& random, Forget how, Losses& losses);
  void sweep();

  std::unordered_map<Ino, std::unique_ptr<Node>> nodes_;
  std::vector<Changes> unsynced_;  // in the order in which they were made
  Ino last_ = kRoot;
};

}  // namespace forgetful
