// A file system for tests: the machine's, with faults. It fails the Nth operation (once, or from
// then on), counts syncs, says how much space is free, and forgets what was not synced.
// Thread safety: all functions from any thread.
#pragma once

#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "spool/file/file_system.h"

namespace mansio::spool {

class FaultFileSystem final : public FileSystem {
 public:
  // ---- the test's side
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

  void set_free(std::uint64_t available) {
    const std::lock_guard lock(mutex_);
    free_ = available;
  }

  std::uint64_t syncs() const {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }

  /// Loss of power: every write that no sync covered is undone, the last first. Call it when no
  /// file is open any more.
  void lose_unsynced() {
    const std::lock_guard lock(mutex_);
    for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) {
      auto file = real_->open(it->path, OpenMode::update);
      if (!file) continue;
      (void)(*file)->write_at(it->offset, it->before);
      if (it->grew) (void)(*file)->truncate(it->size_before);
    }
    undo_.clear();
  }

  // ---- FileSystem
  Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) override {
    if (const ErrorCode error = count()) return error;
    auto file = real_->open(path, mode);
    if (!file) return file.error();
    return std::unique_ptr<File>(std::make_unique<Faulty>(*this, path, std::move(*file)));
  }

  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (const ErrorCode error = count()) return error;
    auto done = real_->rename(from, to);
    const std::lock_guard lock(mutex_);
    for (Undo& undo : undo_) {
      if (undo.path == from) undo.path = to;
    }
    return done;
  }

  Result<void> unlink(const std::filesystem::path& path) override {
    if (const ErrorCode error = count()) return error;
    return real_->unlink(path);
  }

  Result<void> sync_directory(const std::filesystem::path& path) override {
    if (const ErrorCode error = count()) return error;
    return real_->sync_directory(path);
  }

  Result<void> make_directory(const std::filesystem::path& path) override {
    if (const ErrorCode error = count()) return error;
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

 private:
  struct Undo {
    std::filesystem::path path;
    std::uint64_t offset = 0;
    std::string before;
    std::uint64_t size_before = 0;
    bool grew = false;
  };

  class Faulty final : public File {
   public:
    Faulty(FaultFileSystem& owner, std::filesystem::path path, std::unique_ptr<File> file)
        : owner_(owner), path_(std::move(path)), file_(std::move(file)) {}

    Result<void> write_at(std::uint64_t offset, std::string_view octets) override {
      if (const ErrorCode error = owner_.count()) return error;
      Undo undo{path_, offset, std::string(octets.size(), '\0'), file_->size().value(), false};
      undo.before.resize(file_->read_at(offset, undo.before).value());
      undo.grew = offset + octets.size() > undo.size_before;
      {
        const std::lock_guard lock(owner_.mutex_);
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
      std::erase_if(owner_.undo_, [&](const Undo& undo) { return undo.path == path_; });
      return {};
    }

    Result<void> allocate(std::uint64_t size) override {
      if (const ErrorCode error = owner_.count()) return error;
      return file_->allocate(size);
    }

    Result<void> truncate(std::uint64_t size) override {
      if (const ErrorCode error = owner_.count()) return error;
      return file_->truncate(size);
    }

    Result<std::uint64_t> size() override { return file_->size(); }

    void write_behind(std::uint64_t offset, std::uint64_t length) override {
      file_->write_behind(offset, length);
    }

   private:
    FaultFileSystem& owner_;
    const std::filesystem::path path_;
    const std::unique_ptr<File> file_;
  };

  ErrorCode count() {
    const std::lock_guard lock(mutex_);
    if (failed_ && from_then_on_) return {error_, boost::system::system_category()};
    if (countdown_ == 0 || --countdown_ > 0) return {};
    failed_ = true;
    return {error_, boost::system::system_category()};
  }

  const std::shared_ptr<FileSystem> real_ = make_posix_file_system(false);
  mutable std::mutex mutex_;
  std::uint64_t countdown_ = 0, syncs_ = 0, free_ = 1ull << 39;
  int error_ = EIO;
  bool from_then_on_ = true, failed_ = false, fail_syncs_ = false;
  std::vector<Undo> undo_;
};

}  // namespace mansio::spool
