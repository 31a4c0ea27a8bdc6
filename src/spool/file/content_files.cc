#include "spool/file/content_files.h"

#include "base/log.h"

namespace mansio::spool {

/// Shared with the work that is under way; the writer's destruction ends it.
class ContentFileWriter final : public ContentWriter {
 public:
  ContentFileWriter(ContentFiles& owner, QueueId content)
      : owner_(owner), state_(std::make_shared<State>()) {
    state_->content = content;
    state_->path = owner.path_of(content).string() + ".part";
  }

  ~ContentFileWriter() override {
    ContentFiles& owner = owner_;
    owner.work_.post([&owner, state = state_] {
      const std::lock_guard lock(state->mutex);
      state->failed = true;  // an append that is still under way comes too late
      if (state->sealed || state->file == nullptr) return;
      state->file.reset();
      // Best effort: the sweep at start takes what is left.
      (void)owner.files_.unlink(state->path);
    });
  }

  void append(std::string piece, Done<void> done) override {
    ContentFiles& owner = owner_;
    owner.work_.post([&owner, state = state_, piece = std::move(piece), done = std::move(done)] {
      done(append_locked(owner, *state, piece));
    });
  }

  void seal(Done<void> done) override {
    ContentFiles& owner = owner_;
    owner.work_.post(
        [&owner, state = state_, done = std::move(done)] { done(seal_now(owner, *state)); });
  }

 private:
  struct State {
    std::mutex mutex;  // work of one writer may meet on two threads when the writer goes
    QueueId content;
    std::filesystem::path path;
    std::unique_ptr<File> file;
    std::uint64_t size = 0, synced = 0;
    bool failed = false, sealed = false;
  };

  static Result<void> append_locked(ContentFiles& owner, State& state, const std::string& piece) {
    const std::lock_guard lock(state.mutex);
    return append_now(owner, state, piece);
  }

  static Result<void> append_now(ContentFiles& owner, State& state, const std::string& piece) {
    if (owner.latched_) return make_error_code(Errc::latched);
    if (state.failed || state.sealed) return make_error_code(Errc::io);
    if (state.file == nullptr) {
      auto file = owner.files_.open(state.path, OpenMode::create_new);
      if (!file) return fail(state, file.error());
      state.file = std::move(*file);
    }
    auto done = state.file->write_at(state.size, piece);
    if (!done) return fail(state, done.error());
    state.size += piece.size();
    if (state.size - state.synced >= sync_octets_max) {
      if (auto synced = state.file->sync(); !synced) return fail(state, synced.error());
      state.synced = state.size;
    }
    return {};
  }

  static Result<void> seal_now(ContentFiles& owner, State& state) {
    const std::lock_guard lock(state.mutex);
    if (owner.latched_) return make_error_code(Errc::latched);
    if (state.file == nullptr && !state.failed) {
      if (auto done = append_now(owner, state, ""); !done) return done;
    }
    if (state.failed || state.sealed) return make_error_code(Errc::io);
    // Content first, then its name, then the folder: a file without ".part" is always whole.
    auto done = state.file->sync();
    if (!done) return fail(state, done.error());
    const ErrorCode busy(EBUSY, boost::system::system_category());
    if (!owner.begin_sealing(state.content)) return fail(state, busy);
    done = owner.files_.rename(state.path, owner.path_of(state.content));
    if (done) done = owner.files_.sync_directory(owner.folder_);
    const bool kept = owner.end_sealing(state.content, done.has_value(), state.size);
    if (!done) return fail(state, done.error());
    if (!kept) return fail(state, busy);
    state.sealed = true;
    state.file.reset();
    return {};
  }

  static Result<void> fail(State& state, const ErrorCode& error) {
    log::error("content_write_failed")
        .field("file", state.path.string())
        .field("error", error.message());
    state.failed = true;
    return make_error_code(Errc::io);
  }

  ContentFiles& owner_;
  std::shared_ptr<State> state_;
};

std::filesystem::path ContentFiles::path_of(const QueueId& content) const {
  return folder_ / content.to_string();
}

std::unique_ptr<ContentWriter> ContentFiles::open(const QueueId& content) {
  return std::make_unique<ContentFileWriter>(*this, content);
}

/// False: a file of that name is about to be removed, and ours might go with it.
bool ContentFiles::begin_sealing(const QueueId& content) {
  const std::lock_guard lock(mutex_);
  return !retired_.contains(content) && sealing_.try_emplace(content, false).second;
}

/// False: the file that it took the place of was given up meanwhile, perhaps after the renaming.
bool ContentFiles::end_sealing(const QueueId& content, bool sealed, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  const auto found = sealing_.find(content);
  const bool kept = sealed && !found->second;
  sealing_.erase(found);
  if (kept) sealed_[content] = size;
  return kept;
}

std::optional<std::uint64_t> ContentFiles::sealed_size(const QueueId& content) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = sealed_.find(content);
    if (found != sealed_.end()) return found->second;
    if (retired_.contains(content)) return std::nullopt;
  }
  // Sealed before this process began: a second message may share the content.
  auto file = files_.open(path_of(content), OpenMode::read);
  if (!file) return std::nullopt;
  auto size = (*file)->size();
  if (!size) return std::nullopt;
  return *size;
}

Result<std::string> ContentFiles::read(const QueueId& content, std::uint64_t offset,
                                       std::uint64_t length) {
  auto file = files_.open(path_of(content), OpenMode::read);
  if (!file) return make_error_code(file.error().value() == ENOENT ? Errc::missing : Errc::io);
  auto size = (*file)->size();
  if (!size) return make_error_code(Errc::io);
  const std::uint64_t left = offset < *size ? *size - offset : 0;
  std::string octets(static_cast<std::size_t>(std::min(length, left)), '\0');
  auto got = (*file)->read_at(offset, octets);
  if (!got) return make_error_code(Errc::io);
  octets.resize(*got);
  return octets;
}

void ContentFiles::retire(const QueueId& content) {
  const std::lock_guard lock(mutex_);
  sealed_.erase(content);
  retired_.insert(content);
  if (const auto sealing = sealing_.find(content); sealing != sealing_.end()) {
    sealing->second = true;
  }
}

void ContentFiles::remove(const QueueId& content) {
  work_.post([this, content] {
    // A file that stays is swept at the next start.
    if (auto done = files_.unlink(path_of(content)); !done) {
      log::warning("content_remove_failed").field("content", content.to_string());
      return;  // and it stays retired
    }
    const std::lock_guard lock(mutex_);
    retired_.erase(content);
  });
}

Result<std::size_t> ContentFiles::sweep(const std::function<bool(const QueueId&)>& referenced) {
  auto names = files_.list(folder_);
  if (!names) return names.error();
  std::size_t swept = 0;
  for (const std::string& name : *names) {
    const bool unsealed = name.ends_with(".part");
    const auto content = QueueId::parse(unsealed ? name.substr(0, name.size() - 5) : name);
    if (!content || (!unsealed && referenced(*content))) continue;
    if (auto done = files_.unlink(folder_ / name); !done) return done.error();
    ++swept;
  }
  return swept;
}

}  // namespace mansio::spool
