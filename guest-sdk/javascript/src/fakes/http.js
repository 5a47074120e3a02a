// Stands for HTTP in tests: a function answers each request, with a response or by throwing an error case.

const encoder = new TextEncoder();

export const requests = [];
export const service = { answer: undefined };

export function send(request) {
  requests.push(request);
  const answer = service.answer?.(request);
  if (answer === undefined) throw Object.assign(new Error("denied"), { payload: { tag: "denied" } });
  if (answer.error !== undefined) throw Object.assign(new Error(answer.error), { payload: { tag: answer.error, val: answer.reason } });
  const { status = 200, headers = {}, body = "" } = answer;
  return {
    status,
    headers: Object.entries(headers).map(([name, value]) => [name, encoder.encode(value)]),
    body: typeof body === "string" ? encoder.encode(body) : body,
  };
}

export function sendMany(many) {
  return many.map((request) => {
    try {
      return { tag: "ok", val: send(request) };
    } catch (error) {
      return { tag: "err", val: error.payload };
    }
  });
}
