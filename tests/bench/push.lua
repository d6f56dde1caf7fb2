-- wrk: pushes as Omisell sends them, each another one; over 20,000 orders in turn, each change newer than the last.
local orders = 20000
local run = os.getenv("PUSH_RUN") or "0"
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = os.getenv("PUSH_SECRET") }
local body = '{"request_id":"%s-%d","event":"order.shipped","seller_id":1,"shop_id":1,"data":{"updated_time":%d,' ..
    '"order_number":"B-%d","omisell_order_number":"OS-%d","status_id":"460","status_name":"Shipped",' ..
    '"is_fulfilled":true,"created_time":"1700000000"}}'
local sent = 0

request = function()
    sent = sent + 1
    local order = sent % orders + 1
    local at = 1760000000 + math.floor(sent / orders)
    return wrk.format("POST", nil, headers, string.format(body, run, sent, at, order, order))
end

done = function(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        'FOUND {"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"refused":%d,"broken":%d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
