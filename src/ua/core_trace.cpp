// SPDX-License-Identifier: Apache-2.0
//
// What the core tells the application's trace (godwit/trace.hpp): messages as they leave it and as
// they come in, before anything is judged.
#include <exception>

#include "ua/core_impl.hpp"

namespace godwit::ua {

sip::Flow Core::Impl::flow_of(const Listener& listener, const Endpoint& remote) {
  return {sip::Transport::Udp,
          listener.id,
          listener.bound.value_or(Endpoint{listener.path.local, 0}),
          remote,
          listener.path.interface_index,
          listener.generation};
}

void Core::Impl::trace_sent(const sip::Flow& flow, std::string_view bytes, TimePoint now) {
  trace(flow, true, bytes, now);
}

void Core::Impl::trace_received(const sip::Flow& flow, std::string_view bytes, TimePoint now) {
  trace(flow, false, bytes, now);
}

void Core::Impl::trace(const sip::Flow& flow, bool outgoing, std::string_view bytes,
                       TimePoint now) {
  const TraceConfig& config = config_.sip_trace;
  if (!config.sink || config.level == TraceLevel::Off) return;
  TraceRecord record;
  record.at = now;
  record.outgoing = outgoing;
  record.transport = to_string(flow.transport);
  record.local = flow.local;
  record.remote = flow.remote;
  record.flow = static_cast<std::uint32_t>(flow.listener.value());
  record.generation = flow.generation;
  record.size = bytes.size();
  record.text = trace_text(bytes, config);
  try {
    config.sink(record);
  } catch (const std::exception& error) {
    log_.warn("ua", std::string("the trace sink threw: ") + error.what());
  } catch (...) {
    log_.warn("ua", "the trace sink threw");
  }
}

}  // namespace godwit::ua
