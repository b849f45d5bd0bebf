/** What the scopes of Google that are asked for most let somebody do, after `https://www.googleapis.com/auth/`. */
const googleWords: Readonly<Record<string, string>> = {
  bigquery: 'see and change your data in BigQuery',
  calendar: 'see, change, share and delete your calendars',
  'calendar.events': 'see and change events in your calendars',
  'calendar.readonly': 'see your calendars and their events',
  'cloud-billing': 'see and manage your Google Cloud billing accounts',
  'cloud-billing.readonly': 'see your Google Cloud billing accounts',
  'cloud-platform': 'see, change and delete everything in your Google Cloud, and see your e-mail address',
  compute: 'see and manage your virtual machines in Compute Engine',
  'compute.readonly': 'see your virtual machines in Compute Engine',
  contacts: 'see, change and delete your contacts',
  'contacts.readonly': 'see your contacts',
  'devstorage.full_control': 'manage your data and permissions in Cloud Storage',
  'devstorage.read_only': 'read your data in Cloud Storage',
  'devstorage.read_write': 'read and change your data in Cloud Storage',
  documents: 'see, change and delete your documents',
  drive: 'see, change and delete all of your files in Drive',
  'drive.file': 'see and change the files in Drive that were made or opened with this application',
  'drive.metadata.readonly': 'see the names and details of your files in Drive',
  'drive.readonly': 'see and download all of your files in Drive',
  'gmail.modify': 'read, write and send your mail',
  'gmail.readonly': 'read all of your mail',
  'gmail.send': 'send mail in your name',
  spreadsheets: 'see, change and delete your spreadsheets',
  'spreadsheets.readonly': 'see your spreadsheets',
  taskqueue: 'use your task queues',
  'tasks.readonly': 'see your tasks',
  'userinfo.email': 'see your e-mail address',
  'userinfo.profile': 'see your name and picture',
}

const openIdWords: Readonly<Record<string, string>> = {
  openid: 'know who you are',
  email: 'see your e-mail address',
  profile: 'see your name and picture',
  offline_access: 'go on when you are not there, until you take it back',
}

/** What a scope lets somebody do, where that is known. */
export function scopeWords(scope: string, upstream: string): string | undefined {
  const short = scope.replace('https://www.googleapis.com/auth/', '')
  if (upstream === 'google' && Object.hasOwn(googleWords, short)) return googleWords[short]
  return Object.hasOwn(openIdWords, scope) ? openIdWords[scope] : undefined
}
