// Questions, and what a test does on their cards.
import { chat, person } from "./site.mjs";

export const action = (name, args, allowed) => ({ request: { name, args, description: `About **${name}**.` }, config: { action_name: name, allowed_decisions: allowed } });
export const langchain = (...actions) => ({ action_requests: actions.map(({ request }) => request), review_configs: actions.map(({ config }) => config) });

/** A field of the card on the shown tab. */
export const field = (page, label, options) => page.tab.locator(".q").getByLabel(label, options).locator("visible=true");

/** The page that they are answered on. */
export let shared;

/** Start an interrupt, act on its card, and return the answer that the graph got. */
export async function answered(question, act) {
  shared ??= chat(await person({ kept: true }));
  const page = await shared;
  await page.fresh("asking");
  await page.send(JSON.stringify(question));
  await page.has(".q");
  await act(page);
  await page.has(".codebox");
  await page.gone(".q");
  await page.done();
  return JSON.parse(await page.tab.locator(".codebox code").innerText());
}

export const mail = action("send_mail", { to: "ada@example.com", copies: 1, urgent: false }, ["approve", "edit", "reject"]);
