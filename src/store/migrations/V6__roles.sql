-- The role of an account in a study. `accounts.role` is 'operator' for an account that may do everything, and 'viewer' for
-- every other one, whose rights are here and in `account_organizations`.
CREATE TABLE study_roles (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    study_id   INTEGER NOT NULL REFERENCES studies (id),
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'coordinator', 'data-manager')),
    PRIMARY KEY (account_id, study_id)
) STRICT, WITHOUT ROWID;

-- The role of a practitioner in an organization of JHE, as of the last sign-in.
ALTER TABLE account_organizations ADD COLUMN role TEXT NOT NULL DEFAULT 'viewer'
    CHECK (role IN ('viewer', 'coordinator', 'data-manager'));

-- Accounts that saw everything keep their rights in the studies that exist. Until the next sign-in, a practitioner gets
-- the lesser of the two roles of JHE that were one role here.
INSERT INTO study_roles (account_id, study_id, role)
SELECT accounts.id, studies.id, iif(accounts.role = 'manager', 'data-manager', 'viewer')
FROM accounts CROSS JOIN studies
WHERE accounts.role <> 'operator' AND accounts.jhe_user_id IS NULL;
UPDATE account_organizations SET role = 'coordinator'
WHERE account_id IN (SELECT id FROM accounts WHERE role = 'manager');
UPDATE accounts SET role = 'viewer' WHERE role = 'manager';
