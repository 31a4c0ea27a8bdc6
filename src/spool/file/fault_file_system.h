// A file system for tests: the machine's, with faults. It fails the Nth operation (once, or from
// then on), counts operations and syncs, says how much space is free, and forgets what was not
// synced: written octets, and names that were made, changed or removed.
// Thread safety: all functions from any thread.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "spool/file/file_system.h"

namespace mansio::spool {

class FaultFileSystem final : public FileSystem {
 public:
  /// `honest` false: syncs succeed and cover nothing. The negative control of crash tests.
  explicit FaultFileSystem(bool honest = true) : honest_(honest) {}

  // ---- the test's side
  /// A folder on the same device, for what a loss of power may have to bring back.
  void set_scratch(std::filesystem::path folder) { scratch_ = std::move(folder); }

  /// The `n`th operation from now fails (1: the next); 0: none does.
  void fail(std::uint64_t n, int error = EIO, bool from_then_on = true) {
    const std::lock_guard lock(mutex_);
    countdown_ = n;
    error_ = error;
    from_then_on_ = from_then_on;
    failed_ = false;
  }

  /// Whether the fault was reached.
  bool reached() const {
    const std::lock_guard lock(mutex_);
    return failed_;
  }

  void fail_syncs(bool fail) {
    const std::lock_guard lock(mutex_);
    fail_syncs_ = fail;
  }

  /// The disk is full: no file can be made or grow.
  void set_full(bool full) {
    const std::lock_guard lock(mutex_);
    full_ = full;
  }

  void set_free(std::uint64_t available) {
    const std::lock_guard lock(mutex_);
    free_ = available;
  }

  std::uint64_t syncs() const {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }

  /// Loss of power: everything that no sync covered is undone, the last first. Call it when no
  /// file is open any more.
  void lose_unsynced() {
    const std::lock_guard lock(mutex_);
    for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) {
      if (it->file != nullptr) {
        (void)it->file->write_at(it->offset, it->before);
        if (it->grew) (void)it->file->truncate(it->size_before);
        continue;
      }
      std::error_code ignored;
      if (it->to.empty()) {
        std::filesystem::remove_all(it->from, ignored);  // made
      } else if (it->kept.empty()) {
        std::filesystem::rename(it->to, it->from, ignored);  // renamed
      } else {
        std::filesystem::rename(it->kept, it->to, ignored);  // removed or replaced
      }
    }
    undo_.clear();
  }

  /// The files are given up: nothing is left to undo.
  void forget() {
    const std::lock_guard lock(mutex_);
    drop_kept();
    undo_.clear();
  }

  // ---- FileSystem
  Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) override {
    if (const ErrorCode error = count()) return error;
    const std::lock_guard lock(mutex_);
    const bool made = mode != OpenMode::read && !std::filesystem::exists(path);
    if (made && full_ && mode != OpenMode::update) return no_space();
    auto file = real_->open(path, mode);
    if (!file) return file.error();
    if (made) undo_.push_back({.from = path});
    std::shared_ptr<File> shared = std::move(*file);
    return std::unique_ptr<File>(std::make_unique<Faulty>(*this, identity_of(path), shared));
  }

  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (const ErrorCode error = count()) return error;
    const std::lock_guard lock(mutex_);
    if (std::filesystem::exists(to)) {
      const auto kept = next_kept(to);
      std::filesystem::copy_file(to, kept);
      undo_.push_back({.from = from, .to = to, .kept = kept});
    }
    undo_.push_back({.from = from, .to = to});
    return real_->rename(from, to);
  }

  Result<void> unlink(const std::filesystem::path& path) override {
    if (const ErrorCode error = count()) return error;
    const std::lock_guard lock(mutex_);
    if (!std::filesystem::exists(path)) return real_->unlink(path);
    const auto kept = next_kept(path);
    undo_.push_back({.from = path, .to = path, .kept = kept});
    return real_->rename(path, kept);
  }

  Result<void> sync_directory(const std::filesystem::path& path) override {
    if (const ErrorCode error = count()) return error;
    const std::lock_guard lock(mutex_);
    if (!honest_) return {};
    std::erase_if(undo_, [&](const Undo& undo) {
      const bool covered = undo.file == nullptr && undo.from.parent_path() == path;
      std::error_code ignored;
      if (covered && !undo.kept.empty()) std::filesystem::remove(undo.kept, ignored);
      return covered;
    });
    return {};
  }

  Result<void> make_directory(const std::filesystem::path& path) override {
    if (const ErrorCode error = count()) return error;
    const std::lock_guard lock(mutex_);
    if (!std::filesystem::exists(path)) undo_.push_back({.from = path});
    return real_->make_directory(path);
  }

  Result<std::vector<std::string>> list(const std::filesystem::path& path) override {
    if (const ErrorCode error = count()) return error;
    return real_->list(path);
  }

  Result<bool> exists(const std::filesystem::path& path) override { return real_->exists(path); }

  Result<FreeSpace> free_space(const std::filesystem::path&) override {
    const std::lock_guard lock(mutex_);
    return FreeSpace{free_, 1ull << 40};
  }

  ~FaultFileSystem() override { drop_kept(); }

 private:
  using Identity = std::pair<dev_t, ino_t>;

  /// A write (file), or a name that was made (from), renamed (from, to), removed or replaced (to,
  /// with what was there in `kept`).
  struct Undo {
    std::filesystem::path from = {}, to = {}, kept = {};
    std::shared_ptr<File> file = nullptr;
    Identity identity{};
    std::uint64_t offset = 0;
    std::string before = {};
    std::uint64_t size_before = 0;
    bool grew = false;
  };

  class Faulty final : public File {
   public:
    Faulty(FaultFileSystem& owner, Identity identity, std::shared_ptr<File> file)
        : owner_(owner), identity_(identity), file_(std::move(file)) {}

    Result<void> write_at(std::uint64_t offset, std::string_view octets) override {
      if (const ErrorCode error = owner_.count()) return error;
      Undo undo{.file = file_, .identity = identity_, .offset = offset};
      undo.size_before = file_->size().value();
      undo.before.resize(octets.size());
      undo.before.resize(file_->read_at(offset, undo.before).value());
      undo.grew = offset + octets.size() > undo.size_before;
      {
        const std::lock_guard lock(owner_.mutex_);
        if (undo.grew && owner_.full_) return no_space();
        owner_.undo_.push_back(std::move(undo));
      }
      return file_->write_at(offset, octets);
    }

    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
      if (const ErrorCode error = owner_.count()) return error;
      return file_->read_at(offset, buffer);
    }

    Result<void> sync() override {
      if (const ErrorCode error = owner_.count()) return error;
      const std::lock_guard lock(owner_.mutex_);
      if (owner_.fail_syncs_) return ErrorCode(EIO, boost::system::system_category());
      ++owner_.syncs_;
      if (!owner_.honest_) return {};
      std::erase_if(owner_.undo_, [&](const Undo& undo) {
        return undo.file != nullptr && undo.identity == identity_;
      });
      return {};
    }

    Result<void> allocate(std::uint64_t size) override {
      if (const ErrorCode error = owner_.count()) return error;
      {
        const std::lock_guard lock(owner_.mutex_);
        if (owner_.full_) return no_space();
      }
      return file_->allocate(size);
    }

    Result<void> truncate(std::uint64_t size) override {
      if (const ErrorCode error = owner_.count()) return error;
      return file_->truncate(size);
    }

    Result<std::uint64_t> size() override { return file_->size(); }

   private:
    FaultFileSystem& owner_;
    const Identity identity_;
    const std::shared_ptr<File> file_;
  };

  void drop_kept() {
    std::error_code ignored;
    for (const Undo& undo : undo_) {
      if (!undo.kept.empty()) std::filesystem::remove(undo.kept, ignored);
    }
  }

  static ErrorCode no_space() { return {ENOSPC, boost::system::system_category()}; }

  static Identity identity_of(const std::filesystem::path& path) {
    struct stat facts {};

    (void)::stat(path.c_str(), &facts);
    return {facts.st_dev, facts.st_ino};
  }

  std::filesystem::path next_kept(const std::filesystem::path& path) {
    const auto name = "mansio-kept-" + std::to_string(identity_of(path).second) + "-" +
                      std::to_string(reinterpret_cast<std::uintptr_t>(this)) + "-" +
                      std::to_string(++kept_);
    return scratch_ / name;
  }

  ErrorCode count() {
    const std::lock_guard lock(mutex_);
    if (failed_ && from_then_on_) return {error_, boost::system::system_category()};
    if (countdown_ == 0 || --countdown_ > 0) return {};
    failed_ = true;
    return {error_, boost::system::system_category()};
  }

  const bool honest_;
  std::filesystem::path scratch_ = std::filesystem::temp_directory_path();
  const std::shared_ptr<FileSystem> real_ = make_posix_file_system(false);
  mutable std::mutex mutex_;
  std::uint64_t countdown_ = 0, syncs_ = 0, free_ = 1ull << 39, kept_ = 0;
  int error_ = EIO;
  bool from_then_on_ = true, failed_ = false, fail_syncs_ = false, full_ = false;
  std::vector<Undo> undo_;
};

}  // namespace mansio::spool
