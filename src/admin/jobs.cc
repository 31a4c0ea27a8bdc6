#include "admin/jobs.h"

#include <algorithm>
#include <exception>

#include "base/log.h"

namespace mansio::admin {
namespace {

const char* to_text(Job::State state) {
  switch (state) {
    case Job::State::running:
      return "running";
    case Job::State::done:
      return "done";
    case Job::State::cancelled:
      return "cancelled";
    case Job::State::failed:
      return "failed";
  }
  return "unknown";
}

}  // namespace

Json job_json(const Job& job) {
  const bool running = job.state == Job::State::running;
  Json json;
  json["job"] = job.number;
  json["verb"] = job.verb;
  json["state"] = to_text(job.state);
  json["dry_run"] = job.dry_run;
  json["matched"] = running ? job.progress->matched.load() : job.result.matched;
  json["changed"] = running ? job.progress->changed.load() : job.result.changed;
  json["in_flight"] = job.result.in_flight;
  json["messages"] = job.result.messages;
  json["missing"] = Json::array();
  for (const QueueId& id : job.missing) json["missing"].push_back(id.to_string());
  json["error"] = job.result.error;
  json["reason"] = job.reason;
  json["actor"] = job.actor;
  json["started_at"] = time_json(job.started_at);
  json["ended_at"] = time_json(job.ended_at);
  return json;
}

Task<std::vector<QueueId>> missing_ids(Queue& queue, std::vector<QueueId> ids) {
  std::vector<QueueId> missing;
  for (const QueueId& id : ids) {
    const auto stored = co_await queue.get(id);
    const bool gone = stored ? *stored == nullptr
                             : stored.error() == spool::make_error_code(spool::Errc::missing);
    if (gone) missing.push_back(id);
  }
  co_return missing;
}

JobBook::JobBook(boost::asio::any_io_executor executor, Queue& queue, Clock& clock)
    : queue_(queue), clock_(clock), tasks_(std::move(executor)) {}

std::shared_ptr<const Job> JobBook::start(spool::Verb verb, std::string name, ChangeRequest wanted,
                                          std::string actor) {
  forget();
  if (tasks_.size() >= running_max) return nullptr;
  auto job = std::make_shared<Job>();
  job->number = last_ + 1;
  job->verb = std::move(name);
  job->reason = wanted.reason;
  job->actor = std::move(actor);
  job->dry_run = wanted.dry_run;
  job->started_at = clock_.now();
  if (!tasks_.spawn("bulk verb", run(job, verb, std::move(wanted)))) return nullptr;
  last_ = job->number;
  jobs_.emplace(job->number, job);
  return job;
}

Task<void> JobBook::run(std::shared_ptr<Job> job, spool::Verb verb, ChangeRequest wanted) {
  // A verb that broke has to end as one that failed: whoever watches it must not wait for ever.
  try {
    auto looking = missing_ids(queue_, wanted.selector.stored.ids);
    job->missing = co_await std::move(looking);
    auto applying = queue_.apply(verb, std::move(wanted.selector), wanted.reason, job->actor,
                                 wanted.dry_run, job->progress);
    job->result = co_await std::move(applying);
  } catch (const std::exception& error) {
    job->result.matched = job->progress->matched;
    job->result.changed = job->progress->changed;
    job->result.error = error.what();
  }
  job->ended_at = clock_.now();
  job->state = !job->result.error.empty()     ? Job::State::failed
               : job->progress->cancel.load() ? Job::State::cancelled
                                              : Job::State::done;
}

std::shared_ptr<const Job> JobBook::find(std::uint64_t number) {
  forget();
  const auto found = jobs_.find(number);
  return found == jobs_.end() ? nullptr : found->second;
}

std::shared_ptr<const Job> JobBook::cancel(std::uint64_t number) {
  forget();
  const auto found = jobs_.find(number);
  if (found == jobs_.end()) return nullptr;
  if (found->second->state == Job::State::running) found->second->progress->cancel = true;
  return found->second;
}

std::vector<std::shared_ptr<const Job>> JobBook::all() {
  forget();
  std::vector<std::shared_ptr<const Job>> list;
  for (const auto& [number, job] : jobs_) list.push_back(job);
  return list;
}

Task<void> JobBook::stop() {
  tasks_.close();
  for (const auto& [number, job] : jobs_) job->progress->cancel = true;
  co_await tasks_.wait();
}

void JobBook::forget() {
  const Time now = clock_.now();
  std::erase_if(jobs_, [now](const auto& entry) {
    const Job& job = *entry.second;
    return job.state != Job::State::running && now - job.ended_at > keep;
  });
  auto ended =
      static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), [](const auto& entry) {
        return entry.second->state != Job::State::running;
      }));
  for (auto place = jobs_.begin(); ended > ended_max && place != jobs_.end();) {
    if (place->second->state == Job::State::running) {
      ++place;
    } else {
      place = jobs_.erase(place);
      --ended;
    }
  }
}

}  // namespace mansio::admin
