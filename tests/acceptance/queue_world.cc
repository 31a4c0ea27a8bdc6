#include "acceptance/queue_world.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <cstdlib>

#include "delivery/target_channel.h"
#include "spool/contract_backends.h"
#include "spool/file/file_spool.h"
#include "spool/memory/memory_spool.h"

namespace mansio::acceptance {
namespace {

Address address(const std::string& text) {
  return text.empty() ? Address{} : Address::parse(text, false).value();
}

/// How long one answer of the file spool is waited for before it is looked again.
constexpr auto breath = std::chrono::milliseconds(1);

}  // namespace

std::string to_text(Backend backend) { return backend == Backend::file ? "file" : "memory"; }

settings::Retry immediate_retries(std::uint32_t tries_max) {
  settings::Retry retry;
  retry.min = Duration::zero();
  retry.max = Duration::zero();
  retry.factor = 1.0;
  retry.jitter = 0.0;
  retry.tries_max = tries_max;
  return retry;
}

// ---- the spool's house ------------------------------------------------------------------------

struct SpoolHouse::Stores {
  std::shared_ptr<spool::MemoryStore> memory;
  std::filesystem::path folder;
};

SpoolHouse::SpoolHouse(Backend backend, Clock& clock)
    : backend_(backend), clock_(clock), stores_(std::make_unique<Stores>()) {
  if (is_file()) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "mansio-acceptance-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    stores_->folder = pattern;
  } else {
    stores_->memory = spool::make_memory_store();
  }
}

SpoolHouse::~SpoolHouse() {
  std::error_code ignored;
  if (is_file()) std::filesystem::remove_all(stores_->folder, ignored);
}

std::unique_ptr<spool::Spool> SpoolHouse::open() {
  if (is_file()) {
    spool::FileSpoolOptions options;
    options.path = stores_->folder / "spool";
    options.reserve = 0;
    options.reserve_share = 0;
    options.segment_size = 1 << 20;
    return spool::open_file_spool(std::move(options), clock_);
  }
  spool::MemorySpoolOptions options;
  options.now = [&clock = clock_] { return clock.now(); };
  return spool::make_memory_spool(std::move(options), stores_->memory);
}

void SpoolHouse::corrupt_record(const QueueId& id) {
  spool::corrupt_memory_record(*stores_->memory, id);
}

void SpoolHouse::corrupt_content(const QueueId& id) {
  spool::corrupt_memory_content(*stores_->memory, id);
}

// ---- the world --------------------------------------------------------------------------------

World::World(WorldOptions options)
    : seed_(options.seed),
      bounce_builder_(std::move(options.bounce_builder)),
      target_(std::make_shared<fake::ScriptedTarget>()),
      house_(std::make_unique<SpoolHouse>(options.backend, clock_)) {
  settings_.server.hostname = "mail.example.org";
  settings_.retry = options.retry;
  settings::Route route;
  route.pattern = "*";
  route.channel = "scripted";
  settings_.routes.push_back(route);
  settings_.channels.push_back({"scripted", options.channel_type});
  settings_.notify = options.notify;
  start();
}

World::~World() { stop(); }

void World::start() {
  spool_ = std::make_unique<FailingSpool>(house_->open());
  Queue::Ports ports{*spool_,
                     clock_,
                     {context_.get_executor()},
                     [this] { return std::make_unique<SeededRandom>(seed_++); },
                     {{"scripted", std::make_shared<delivery::TargetChannel>(target_, "scripted")}},
                     bounce_builder_ ? bounce_builder_() : nullptr};
  queue_ =
      std::make_unique<Queue>(std::move(ports), std::make_shared<settings::Settings>(settings_));
  queue_->start();
  settle();
}

void World::stop() {
  if (!queue_) return;
  bool stopped = false;
  boost::asio::co_spawn(context_, queue_->stop(clock_.steady_now() + std::chrono::seconds(30)),
                        [&stopped](std::exception_ptr) { stopped = true; });
  EXPECT_TRUE(run_until([&stopped] { return stopped; }, std::chrono::minutes(5)));
  spool_->stop();
  queue_.reset();
  spool_.reset();
}

void World::restart() {
  stop();
  start();
}

void World::reload() {
  queue_->reload(std::make_shared<settings::Settings>(settings_),
                 {{"scripted", std::make_shared<delivery::TargetChannel>(target_, "scripted")}});
  settle();
}

void World::settle() {
  while (true) {
    // Asked first: what was answered by now stands in the loop.
    const bool quiet = spool_->outstanding() == 0;
    context_.restart();
    if (context_.poll() > 0) continue;
    if (quiet) return;
    context_.run_one_for(breath);
  }
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const SteadyTime until = clock_.steady_now() + limit;
  while (true) {
    const bool quiet = spool_->outstanding() == 0;
    context_.restart();
    bool worked = false;
    while (!done() && context_.poll_one() > 0) worked = true;
    if (done()) return true;
    if (worked) continue;
    if (!quiet) {
      context_.run_one_for(breath);
    } else if (!clock_.advance_to_next(until)) {
      return done();
    }
  }
}

void World::pass(Duration duration) {
  const SteadyTime until = clock_.steady_now() + duration;
  settle();
  while (clock_.advance_to_next(until)) settle();
  clock_.advance(until - clock_.steady_now());
  settle();
}

Admitted World::submit(const std::string& sender, const std::vector<std::string>& recipients,
                       const std::string& content) {
  Envelope envelope;
  envelope.reverse_path = address(sender);
  for (const std::string& text : recipients) {
    Recipient recipient;
    recipient.address = address(text);
    recipient.original = recipient.address;
    envelope.recipients.push_back(std::move(recipient));
  }
  return submit(std::move(envelope), content);
}

Admitted World::submit(Envelope envelope, const std::string& content) {
  Submission submission;
  submission.envelope = std::move(envelope);
  ContentScanner scanner;
  scanner.feed(content);
  submission.content.facts = scanner.finish();
  submission.content.octets = std::make_shared<const std::string>(content);
  auto admitting = queue_->admit(std::move(submission));
  return wait(std::move(admitting));
}

spool::StoredMessagePtr World::stored(const QueueId& id) {
  auto found = wait(queue_->get(id));
  return found ? *found : nullptr;
}

std::vector<spool::HistoryEntry> World::history(const QueueId& id) {
  auto entries = wait(queue_->history(id));
  return entries ? *entries : std::vector<spool::HistoryEntry>{};
}

std::vector<QueueId> World::ids() {
  QueueSelector selector;
  selector.stored.everything = true;
  auto page = wait(queue_->list(selector, "", 1000));
  std::vector<QueueId> found;
  if (page) {
    for (const ListedMessage& listed : page->messages) found.push_back(listed.message->message.id);
  }
  return found;
}

}  // namespace mansio::acceptance
